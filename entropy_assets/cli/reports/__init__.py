"""Reports that people open in a browser: `page` for the text, `figures` for the pictures."""
