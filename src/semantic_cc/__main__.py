"""``python -m semantic_cc`` is the command ``semantic-cc``."""

import sys

from semantic_cc.cli.main import main

sys.exit(main())
