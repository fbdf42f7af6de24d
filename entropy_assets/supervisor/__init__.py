"""``entropy-assets up``: everything that an installation is made of, as one thing that starts, tells and stops."""
