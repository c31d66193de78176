"""The same greeter and orders on FastAPI and uvicorn, without any middleware or access log."""

from __future__ import annotations

import json
import socket

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


@app.get("/helloworld/{name}")
async def say_hello(name: str) -> dict[str, str]:
    return {"message": f"Hello {name}"}


class OrderLine(BaseModel):
    sku: str
    title: str
    quantity: int
    unit_price_cents: int
    discount: float


class Order(BaseModel):
    order_id: str
    customer_id: int
    lines: list[OrderLine]
    labels: dict[str, str]
    gift: bool
    note: str


@app.post("/orders")
async def place(order: Order) -> Order:
    return order


listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"http": listener.getsockname()[1]}), flush=True)
uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run(sockets=[listener])
