"""`tollway` and `python -m tollway`."""


def main() -> None:
    """Run the command line."""
    from tollway.cli.root import root

    root()


if __name__ == "__main__":
    main()
