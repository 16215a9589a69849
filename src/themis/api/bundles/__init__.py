"""Bundles: runs handed from store to store (`transfer`), as files (`files`), and outputs made elsewhere (`outputs`)."""
