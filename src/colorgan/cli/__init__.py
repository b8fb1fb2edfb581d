"""The command line: a module per subcommand, and what they share: options, output, streams and signals."""
