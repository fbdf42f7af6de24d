"""The file of feeds says what its operator meant, or it is refused with the line and what to do."""

import os
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest

from entropy_assets.recipe import DROP, RECIPES, STANDARD
from entropy_assets.settings import Settings
from entropy_assets.sources.feeds import configuration
from entropy_assets.sources.feeds.configuration import KINDS, SourcesRefused, parsed, place_of, read_configuration
from entropy_assets.sources.feeds.tables.fields import WebTable
from entropy_assets.stores.home import Home

FOLDER = '[feed.mine]\nkind = "folder"\npath = "/frames"\nclaim = "raw-ccd"\n'


def refusals(text: str) -> list[str]:
    with pytest.raises(SourcesRefused) as refused:
        parsed(text.encode(), STANDARD)
    return refused.value.data["problems"]


def test_the_example_has_every_kind_and_is_what_it_says() -> None:
    feeds = parsed(configuration.example().encode(), STANDARD).feeds
    assert {table.kind for table in feeds.values()} == KINDS.keys()  # type: ignore[attr-defined]


def test_what_the_example_shows_as_taken_anyway_is_taken_anyway() -> None:
    """Every line that begins with a single # is a field of its table, and all of them together are no other file."""
    text = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith("# ") and line != "#" else line
        for line in configuration.example().splitlines()
    )
    shown = parsed(text.encode(), STANDARD).feeds
    plain = parsed(configuration.example().encode(), STANDARD).feeds
    changed = {name for name in plain if shown[name] != plain[name]}
    # a lane, a key, a year, named observations, a times file and named hosts are not there by default
    assert changed == {"ccor1", "earth", "library", "hubble", "sun", "observatory"}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_the_example_fits_every_recipe(recipe) -> None:
    feeds = parsed(configuration.example().encode(), recipe).feeds
    assert {table.claim for table in feeds.values()} <= {*recipe.sources, DROP}


def test_the_shipped_schema_is_that_of_the_tables() -> None:
    """``python -c 'from entropy_assets.sources.feeds.configuration import *; print(rendered(schema()), end="")'``"""
    assert configuration.schema_text() == configuration.rendered(configuration.schema())


def test_the_schema_takes_the_example_and_refuses_what_is_refused() -> None:
    schema = configuration.schema()
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)
    validator.validate(tomllib.loads(configuration.example()))
    for wrong in (
        {"feed": {"UPPER": {"kind": "epic"}}},
        {"feed": {"a": {"kind": "epic", "colour": 1}}},
        {"feed": {"a": {"kind": "sdo-latest", "cadence_seconds": 60}}},
        {"feed": {"a": {"kind": "mars-photos"}}},
    ):
        with pytest.raises(jsonschema_rs.ValidationError):
            validator.validate(wrong)


def test_every_field_is_explained_in_the_schema() -> None:
    tables = [table for table in configuration.schema()["$defs"].values() if "properties" in table]
    silent = {
        (table["title"], name)
        for table in tables
        for name, field in table["properties"].items()
        if name not in ("kind", "claim") and not any("description" in part for part in (field, *field.get("anyOf", ())))
    }
    assert len(tables) == len(KINDS)
    assert silent == set()


@pytest.mark.parametrize(
    "text, told",
    [
        ("feed = 1", "feed is not known here; a feed is a table [feed.NAME]"),
        ("[[feed]]\nname = 'a'", "feed is not known here; a feed is a table [feed.NAME]"),
        ("[feeds.a]\nkind = 'epic'", "feeds is not known here; a feed is a table [feed.NAME]"),
        ("\n[feed.Sun]\nkind = 'epic'", "line 2: feed Sun has no usable name; one has up to 32 small letters"),
        ("[feed.a]\n# a note\nkind = 'mars-rover-photos'", "line 3: feed a, kind must be one of sdo-latest, "),
        ("[feed.a]\nclaim = 'drop'", "line 1: feed a, kind is missing: it must be one of sdo-latest, "),
        (FOLDER + "paht = 1", "line 5: feed mine, paht is nothing that folder takes; it takes cadence_seconds, claim"),
        ("[feed.a]\nkind = 'folder'\nclaim = 'drop'", "line 1: feed a, path is missing; folder needs it"),
        ("[feed.a]\nkind = 'sdo-latest'\ncadence_seconds = 60", "line 3: feed a, cadence_seconds: should be greater"),
        (FOLDER + "max_files = '3'", "line 5: feed mine, max_files: should be a valid integer"),
        (FOLDER + "enabled = 'yes'", "line 5: feed mine, enabled: should be a valid boolean"),
        (FOLDER + "enabled = 0", "line 5: feed mine, enabled: should be a valid boolean"),
        (FOLDER + "from_the_oldest = 'on'", "line 5: feed mine, from_the_oldest: should be a valid boolean"),
        (FOLDER + "settle_seconds = '3'", "line 5: feed mine, settle_seconds: should be a valid number"),
        (FOLDER + "lane = 'secret'", "line 5: feed mine, lane: should be 'public' or 'private'"),
        (FOLDER.replace("/frames", "frames"), "line 3: feed mine, path: an absolute path is wanted"),
        (
            FOLDER.replace("raw-ccd", "raw"),
            "line 4: feed mine, claim is no source of ea-2026-2; known are samples, raw",
        ),
        (FOLDER.replace("raw-ccd", "simulated"), "line 4: feed mine, claim: only the kind simulated may claim simul"),
        ("[feed.a]\nkind = 'apod'\nclaim = 'raw-ccd'", "line 3: feed a, claim: its images are worth what apod is at"),
        ("[feed.a\n", "it is no TOML: Expected ']' at the end of a table declaration (at line 1"),
        (
            FOLDER.replace("/frames", r"C:\Users\me\new"),
            "it is no TOML: Invalid hex value (at line 3, column 13); write \\ as / or put the text in '",
        ),
        ("[feed.a]\nkind = folder", "it is no TOML: Invalid value (at line 2, column 8); text stands in straight"),
        (FOLDER + "enabled = True", "it is no TOML: Invalid value (at line 5, column 11); text stands in straight"),
        ("[feed.a]\nkind = 'epic'\nhosts = 'example.org'", "line 3: feed a, hosts: should be a valid list"),
        (FOLDER + FOLDER, "it is no TOML: Cannot declare ('feed', 'mine') twice (at line 5"),
        (
            FOLDER + FOLDER.replace("mine", "other") + "lane = 'public'\n",
            "line 9: feed other, lane is not that of mine, and both claim raw-ccd: a batch is of one source and in",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(text, told) -> None:
    [problem] = refusals(text)
    assert problem.startswith(told)


def test_a_file_that_an_editor_began_with_a_byte_order_mark_is_read_the_same() -> None:
    assert parsed(("\ufeff" + FOLDER).encode(), STANDARD) == parsed(FOLDER.encode(), STANDARD)
    [problem] = refusals("\ufeff" + FOLDER + "paht = 1")
    assert problem.startswith("line 5: feed mine, paht")


@pytest.mark.parametrize(
    "url, told",
    [
        ("https://me:hunter2@frames.example.org/", "holds no user, password, key or query"),
        ("https://frames.example.org/?api_key=hunter2", "holds no user, password, key or query"),
        ("http://frames.example.org/", "use https, or set own_network = true"),
        ("ftp://hunter2.example.org/", "an address like https://host/folder/ is wanted"),
        ("https://frames.example.org/{hunter2}/", "only {day}, {hour}, {month}, {year}, {yearday} may stand in braces"),
        ("https://frames.example.org/{day}/", "braces begin with {year}"),
        ("https://frames.example.org/{year.__class__}/", "may stand in braces"),
        ("https://frames.example.org/{year!r}/", "may stand in braces"),
        ("https://frames.example.org/{/", "may stand in braces"),
    ],
)
def test_an_address_holds_no_secret_and_leads_where_it_says(url, told) -> None:
    """What was written is not repeated: who mistook where a key goes finds it in no log."""
    [problem] = refusals(f"[feed.a]\nkind = 'http-directory'\nclaim = 'drop'\nurl = '{url}'")
    assert told in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "host", ["https://a.example.org", "A.example.org", "a/b", "", "*", "a.example.org:", "*.*.org"]
)
def test_a_host_is_a_name_alone(host) -> None:
    [problem] = refusals(f"[feed.a]\nkind = 'epic'\nhosts = ['{host}']")
    assert "hosts: a host like images.example.org" in problem


def test_a_host_may_have_a_port_or_stand_for_all_below_it() -> None:
    text = b"[feed.a]\nkind = 'epic'\nhosts = ['*.nasa.gov', 'mirror.example.org:8443']"
    told = parsed(text, STANDARD).feeds["a"]
    assert isinstance(told, WebTable)
    assert told.allowed_hosts == {"*.nasa.gov", "mirror.example.org:8443", "epic.gsfc.nasa.gov"}


def test_in_the_own_network_hosts_are_named_one_by_one() -> None:
    text = (
        "[feed.a]\nkind = 'http-directory'\nclaim = 'drop'\nurl = 'http://a:8080/'\nown_network = true\nhosts = ['{}']"
    )
    assert parsed(text.format("b").encode(), STANDARD).feeds["a"].is_in_own_network  # type: ignore[attr-defined]
    for host in ("*.b", "b:80"):
        [problem] = refusals(text.format(host))
        assert "own_network needs the names of its hosts, without ports" in problem


def test_a_key_in_the_place_of_its_name_is_refused_and_not_repeated() -> None:
    [problem] = refusals("[feed.a]\nkind = 'apod'\nkey_env = 'hunter2hunter2'")
    assert problem.endswith("give the name of a variable of the environment, not the key")
    assert "hunter2" not in problem


COMMAND = "[feed.a]\nkind = 'command'\nclaim = '{claim}'\ncommand = {command}\nframes = '{frames}'\n{rest}\n"
PIXELS = "output = 'pixels'\nwidth = 640\nheight = 480\n"


@pytest.mark.parametrize(
    "claim, command, frames, rest, told",
    [
        ("raw-ccd", ["ffmpeg", "-"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["/usr/bin/gst-launch-1.0"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["grab", "RTSP://camera/1"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["env", "ffmpeg", "-i", "/dev/video0"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["nice", "-n", "9", "/opt/FFmpeg-6.1", "-"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["sh", "-c", "exec ffmpeg -i /dev/video0 {file}"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["sh", "-c", "A=1;mpv|cat"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["bash", "-c", "grab 'rtsp://camera/1' > {file}"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["grab", "--url=rtsp://camera/1"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["grab", "--with=gst-launch-1.0"], "raw", "", 'say frames = "decoded"'),
        ("raw-ccd", ["motion"], "raw", "", "line 4: feed a, command decodes"),
        ("drop", ["sh", "-c", "grab http://a/ --to=x://me:hunter2@camera/1"], "decoded", PIXELS, "are seen by all"),
        ("raw-ccd", ["ffmpeg", "-"], "decoded", PIXELS + "bits = 8", "decoded frames are pictures; claim drop or apod"),
        ("drop", ["ffmpeg", "-"], "decoded", PIXELS, "decoded frames are 8-bit pixels, or a file whose ending is"),
        ("drop", ["ffmpeg", "-"], "decoded", "", "decoded frames are 8-bit pixels, or a file whose ending is"),
        ("raw-ccd", ["grab"], "raw", "output = 'pixels'", "bare pixels need width and height"),
        ("drop", ["grab", "rtsp://me:hunter2@camera/1"], "decoded", PIXELS + "bits = 8", "are seen by all"),
    ],
)
def test_a_decoded_video_is_never_claimed_as_raw_frames(claim, command, frames, rest, told) -> None:
    [problem] = refusals(COMMAND.format(claim=claim, command=command, frames=frames, rest=rest))
    assert told in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "command",
    [
        ["indi_getprop", "ffmpegless", "{file}"],
        ["gphoto2", "--set-config", "detect=motion", "--filename", "{file}"],
        ["sh", "-c", "rtsp-free --out {file} # no motion here"],
    ],
)
def test_a_camera_whose_words_only_look_like_a_decoder_is_taken(command) -> None:
    text = COMMAND.format(claim="raw-ccd", command=command, frames="raw", rest="")
    assert parsed(text.encode(), STANDARD).feeds["a"].claim == "raw-ccd"


def test_what_a_command_decodes_may_be_claimed_as_a_picture() -> None:
    text = COMMAND.format(claim="drop", command=["ffmpeg", "-"], frames="decoded", rest=PIXELS + "bits = 8")
    assert parsed(text.encode(), STANDARD).feeds["a"].claim == "drop"


def test_several_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    told = refusals(FOLDER + "a = 1\nmax_files = 0\nb = 2\nlane = 'x'\n")
    assert [line.partition(":")[0] for line in told] == ["line 5", "line 6", "line 7", "line 8"]


def test_a_wrong_number_keeps_no_wrong_host_claim_or_lane_from_being_told() -> None:
    """Each has its line. A table that is wrong otherwise is not looked at further: what it says is not known."""
    web = "[feed.{}]\nkind = 'http-directory'\nurl = 'https://{}/'\nclaim = '{}'\n"
    told = refusals(
        web.format("a", "-.example", "raw-ccd")
        + "cadence_seconds = 0\nmax_files = '5'\n"
        + web.format("b", "b.example", "raw-cdc")
        + "max_files = 0\n"
        + web.format("c", "c.example", "raw-ccd")
        + "lane = 'public'\n"
        + web.format("d", "-.example", "raw-ccd")
        + "own_network = 'perhaps'\n"
    )
    assert [line.partition(":")[0] for line in told] == [f"line {number}" for number in (3, 5, 6, 10, 11, 16, 21)]
    assert "has a host, port or letter that can't be asked" in told[0]
    assert "is no source of" in told[3]
    assert "is not that of a" in told[5]


@pytest.mark.parametrize(
    "text, told",
    [
        ("[feed.a]\nkind = 'foldr'", "; did you mean folder?"),
        (FOLDER.replace("path", "pth"), "; did you mean path?"),
        (
            FOLDER + "cadence_seconds = '5m'",
            "valid integer. Time from one look to the next, seconds. 1 at least, 2_592",
        ),
        (FOLDER + "cadence_seconds = 0.5", "valid integer. Time from one look to the next, seconds. 1 at least, 2_592"),
        (
            FOLDER + "max_files = 0",
            "greater than or equal to 1. Images that one look fetches at most. 1 at least, 1000",
        ),
        ("[feed.my scope]\nkind = 'folder'", "small letters, digits, hyphens, and no space"),
        (
            "[feed.a]\nkind = 'http-directory'\nurl = 'http://a.example/'\nclaim = 'drop'",
            "line 3: feed a, url begins with http://: use https",
        ),
        (
            "[feed.a]\nkind = 'http-directory'\nurl = 'http://a/'\nclaim = 'drop'\nown_network = true\nca_file = '/a'",
            "line 3: feed a, url begins with http://, and ca_file is for https",
        ),
    ],
)
def test_what_was_meant_is_told(text, told) -> None:
    problems = refusals(text)
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize("data", [b"\xff", b"#" * (2**20 + 1), b"[" * 100_000, b"a = " + b"[" * 100_000])
def test_a_file_that_is_no_text_or_endless_is_refused(data) -> None:
    with pytest.raises(SourcesRefused):
        parsed(data, STANDARD)


def test_every_server_has_its_hosts_and_no_other() -> None:
    feeds = parsed(configuration.example().encode(), STANDARD).feeds
    web = {name: table for name, table in feeds.items() if isinstance(table, WebTable)}
    assert web["sun"].allowed_hosts == {"sdo.gsfc.nasa.gov"}
    assert web["library"].allowed_hosts == {"images-api.nasa.gov", "images-assets.nasa.gov"}
    assert web["observatory"].allowed_hosts == {"frames.example.org"}
    assert not any(table.is_in_own_network for table in web.values())


def test_the_variables_are_those_of_the_feeds_that_are_looked_at() -> None:
    text = "[feed.a]\nkind = 'apod'\nkey_env = 'A_KEY'\n[feed.b]\nkind = 'epic'\nkey_env = 'B_KEY'\nenabled = false\n"
    feeds = parsed(text.encode(), STANDARD)
    assert feeds.variables == ("A_KEY",)
    assert list(feeds.enabled) == ["a"]


def test_feeds_of_one_claim_have_one_lane() -> None:
    feeds = parsed((FOLDER + "lane = 'public'\n[feed.b]\nkind = 'epic'\n").encode(), STANDARD)
    assert (feeds.lane_of("raw-ccd"), feeds.lane_of("epic"), feeds.lane_of("apod")) == ("public", None, None)


def test_the_file_is_where_it_was_told_or_in_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert place_of(Settings(home=tmp_path).sources, home) is None
    (tmp_path / "sources.toml").write_text(FOLDER)
    assert place_of(Settings(home=tmp_path).sources, home) == tmp_path / "sources.toml"
    told = place_of(Settings(home=tmp_path, sources=tmp_path / "other.toml").sources, home)
    assert told == tmp_path / "other.toml"
    with pytest.raises(SourcesRefused, match=r"other.toml can't be read \(No such file or directory\)"):
        read_configuration(told, STANDARD)


def test_a_pipe_in_its_place_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sources.toml")
    with pytest.raises(SourcesRefused, match=r"sources.toml can't be read \(it is no regular file\)"):
        read_configuration(tmp_path / "sources.toml", STANDARD)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_file_in_the_home_is_refused_and_not_taken_for_no_feeds(kind: str, tmp_path: Path) -> None:
    """A folder lies there where a file was to be mounted that was not there."""
    path = tmp_path / "sources.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "nowhere.toml")
    with pytest.raises(
        SourcesRefused, match=r"sources.toml can't be read \(.+\); write one, take away what lies there"
    ):
        configuration.configuration_of(None, Home(tmp_path), STANDARD)


def test_of_many_mistakes_some_are_told_since_each_tick_tells_them() -> None:
    told = refusals(FOLDER + "".join(f"{'c' * 9000}{n} = 1\n" for n in range(50)))
    assert (len(told), told[-1]) == (21, "and 30 more")
    assert sum(map(len, told)) < 21_000


def test_a_refused_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text("[feed.a]\n")
    with pytest.raises(SourcesRefused) as refused:
        read_configuration(tmp_path / "sources.toml", STANDARD)
    assert refused.value.message.startswith(f"{tmp_path}/sources.toml: line 1: feed a, kind is missing: it must be")


@pytest.mark.parametrize(
    "told",
    [
        'kind = "goes19-suvi"\nendings = [".fits", ".nc"]',
        'kind = "http-directory"\nurl = "https://a.example/"\nclaim = "drop"\npattern = "*.NC"',
        'kind = "folder"\npath = "/frames"\nclaim = "drop"\npattern = "*.h5"',
        'kind = "object-store"\nurl = "s3://a/b"\nclaim = "drop"\npattern = "a*.nc4"',
        'kind = "command"\ncommand = ["grab"]\nframes = "raw"\nclaim = "drop"\nending = ".nc"',
    ],
)
def test_a_container_that_is_not_read_is_refused_with_its_converter_before_anything_is_fetched(told: str) -> None:
    with pytest.raises(SourcesRefused, match=r"netCDF and HDF5 are not read: convert them by GDAL's gdal_translate"):
        parsed(f"[feed.mine]\n{told}\n".encode(), STANDARD)


def test_a_feed_whose_frames_may_earn_nothing_says_so() -> None:
    assert [kind for kind, table in configuration.KINDS.items() if table.caveat] == ["goes19-suvi"]
    assert set(configuration.KINDS["goes19-suvi"].model_fields["endings"].default) == {".fits", ".fits.gz"}
