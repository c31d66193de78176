"""``python -m helloworld`` serves until Ctrl-C."""

from .main import app

app.run()
