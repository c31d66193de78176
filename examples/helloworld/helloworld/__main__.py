"""``python -m helloworld`` serves until Ctrl-C."""

from kratos.log import setup

from .main import app

setup()
app.run()
