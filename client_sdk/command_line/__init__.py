"""What the subcommands of `yabam` are made of, in whichever package they stand."""
