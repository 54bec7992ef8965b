"""``python -m vmaf_train``, which is how torchrun starts the command in several processes."""

from __future__ import annotations

from vmaf_train.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
