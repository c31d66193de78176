"""The same greeter and orders on Litestar, typed by data classes as its tutorial has them, without any middleware."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Litestar, get, post
from uvicorned import serve


@get("/helloworld/{name:str}")
async def say_hello(name: str) -> dict[str, str]:
    return {"message": f"Hello {name}"}


@dataclass
class OrderLine:
    sku: str
    title: str
    quantity: int
    unit_price_cents: int
    discount: float


@dataclass
class Order:
    order_id: str
    customer_id: int
    lines: list[OrderLine]
    labels: dict[str, str]
    gift: bool
    note: str


@post("/orders")
async def place(data: Order) -> Order:
    return data


if __name__ == "__main__":
    serve(Litestar([say_hello, place]))
