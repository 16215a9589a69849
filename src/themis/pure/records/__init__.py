"""Records: what is handed around and kept, one module per noun."""
