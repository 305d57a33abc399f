"""The command line program's parts; `kmeans_c.cli` puts them together."""
