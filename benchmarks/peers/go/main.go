// The same greeter and the same order on Kratos for Go, without middleware: what its generator writes, by hand.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"

	"github.com/go-kratos/kratos/v3/transport/http"

	"bench.test/peer/pb"
)

func sayHello(ctx http.Context) error {
	var in pb.HelloRequest
	if err := ctx.BindQuery(&in); err != nil {
		return err
	}
	if err := ctx.BindVars(&in); err != nil {
		return err
	}
	http.SetOperation(ctx, "/bench.v1.Greeter/SayHello")
	handler := ctx.Middleware(func(_ context.Context, req any) (any, error) {
		return &pb.HelloReply{Message: "Hello " + req.(*pb.HelloRequest).Name}, nil
	})
	out, err := handler(ctx, &in)
	if err != nil {
		return err
	}
	return ctx.Result(200, out)
}

func place(ctx http.Context) error {
	var in pb.Order
	if err := ctx.Bind(&in); err != nil {
		return err
	}
	if err := ctx.BindQuery(&in); err != nil {
		return err
	}
	http.SetOperation(ctx, "/bench.v1.Orders/Place")
	handler := ctx.Middleware(func(_ context.Context, req any) (any, error) { return req, nil })
	out, err := handler(ctx, &in)
	if err != nil {
		return err
	}
	return ctx.Result(200, out)
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	server := http.NewServer(http.Address("127.0.0.1:0"), http.Middleware())
	routes := server.Route("/")
	routes.GET("/helloworld/{name}", sayHello)
	routes.POST("/orders", place)
	at, err := server.Endpoint()
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]json.RawMessage{"http": json.RawMessage(at.Port())}); err != nil {
		panic(err)
	}
	if err := server.Start(context.Background()); err != nil {
		panic(err)
	}
}
