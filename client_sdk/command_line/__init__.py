"""The parts that the subcommands of `yabam` in all packages share."""
