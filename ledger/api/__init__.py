"""The log over HTTP: checkpoint, tiles, entry bundles, proofs."""
