"""The kinds of feeds, a file for each: what its server, folder or camera has, and how one image of it is had."""
