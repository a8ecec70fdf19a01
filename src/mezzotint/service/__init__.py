"""The roles of encrypted tables over HTTP."""
