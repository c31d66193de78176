// The same greeter, order and stream on Kratos for Go, without middleware: what its generators write, by hand.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/url"
	"os"

	"github.com/go-kratos/kratos/v3/transport/grpc"
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
	handler := ctx.Middleware(func(ctx context.Context, req any) (any, error) {
		return service{}.SayHello(ctx, req.(*pb.HelloRequest))
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

type server interface {
	Endpoint() (*url.URL, error)
	Start(context.Context) error
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	web := http.NewServer(http.Address("127.0.0.1:0"), http.Middleware())
	routes := web.Route("/")
	routes.GET("/helloworld/{name}", sayHello)
	routes.POST("/orders", place)
	calls := grpc.NewServer(grpc.Address("127.0.0.1:0"))
	for index := range services {
		calls.RegisterService(&services[index], service{})
	}
	ports := map[string]json.RawMessage{}
	failed := make(chan error)
	for _, each := range []server{web, calls} {
		at, err := each.Endpoint()
		if err != nil {
			panic(err)
		}
		ports[at.Scheme] = json.RawMessage(at.Port())
		go func() { failed <- each.Start(context.Background()) }()
	}
	if err := json.NewEncoder(os.Stdout).Encode(ports); err != nil {
		panic(err)
	}
	panic(<-failed)
}
