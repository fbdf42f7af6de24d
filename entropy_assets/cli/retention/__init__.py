"""``entropy-assets retention``: what goes when nobody needs it any more, and why the rest stays."""
