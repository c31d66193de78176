"""The same greeter and orders on FastAPI and pydantic, without any middleware."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel
from uvicorned import serve

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


if __name__ == "__main__":
    serve(app)
