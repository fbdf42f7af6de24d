"""What servers say of their images: their documents, read without trusting them. Whatever is wrong is a ValueError."""
