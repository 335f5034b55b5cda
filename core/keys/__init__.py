"""API keys: who may call what, used by DRF's views and by the issuance lane alike."""
