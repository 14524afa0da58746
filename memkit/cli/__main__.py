"""``python -m memkit.cli``."""

from memkit.cli import main

raise SystemExit(main())
