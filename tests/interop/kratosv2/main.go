// A hop of the tests: Kratos for Go, with its own tracing middleware on both sides, between two services of ours.
//
//	kratosv2 NEXT  serves POST /kinds/echo, hands it on to NEXT over HTTP, and GET /spans, what it has recorded; prints
//	               its URL, ends with its standard input
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/go-kratos/kratos/v2"
	"github.com/go-kratos/kratos/v2/encoding"
	_ "github.com/go-kratos/kratos/v2/encoding/json"
	klog "github.com/go-kratos/kratos/v2/log"
	"github.com/go-kratos/kratos/v2/middleware/tracing"
	"github.com/go-kratos/kratos/v2/transport/http"
	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const (
	path      = "/kinds/echo"
	operation = "/fixture.kinds.v1.Kinds/Echo"
)

// protojson is v2's JSON under the name that v3 and we have for it.
type protojson struct{ encoding.Codec }

func (protojson) Name() string { return "protojson" }

func main() {
	encoding.RegisterCodec(protojson{encoding.GetCodec("json")})
	klog.SetLogger(klog.NewStdLogger(io.Discard))
	recorded := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(recorded)))
	next, err := http.NewClient(
		context.Background(), http.WithEndpoint(os.Args[1]), http.WithMiddleware(tracing.Client()),
	)
	fail(err)
	server := http.NewServer(http.Address("127.0.0.1:0"), http.Middleware(tracing.Server()))
	routes := server.Route("/")
	routes.POST(path, func(ctx http.Context) error {
		asked := map[string]any{}
		if err := ctx.Bind(&asked); err != nil {
			return err
		}
		http.SetOperation(ctx, operation)
		answer, err := ctx.Middleware(func(ctx context.Context, asked any) (any, error) {
			reply := map[string]any{}
			err := next.Invoke(ctx, "POST", path, asked, &reply, http.Operation(operation), http.PathTemplate(path))
			return reply, err
		})(ctx, asked)
		if err != nil {
			return err
		}
		return ctx.JSON(200, answer)
	})
	routes.GET("/spans", func(ctx http.Context) error { return ctx.JSON(200, told(recorded.GetSpans())) })
	at, err := server.Endpoint()
	fail(err)
	app := kratos.New(kratos.Name("gopher"), kratos.Server(server))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = app.Stop()
	}()
	fmt.Println(at.String())
	fail(app.Run())
}

func told(spans tracetest.SpanStubs) []map[string]string {
	list := []map[string]string{}
	for _, span := range spans {
		facts := map[string]string{
			"kind":   span.SpanKind.String(),
			"trace":  span.SpanContext.TraceID().String(),
			"id":     span.SpanContext.SpanID().String(),
			"parent": span.Parent.SpanID().String(),
		}
		for _, fact := range span.Attributes {
			facts[string(fact.Key)] = fact.Value.Emit()
		}
		list = append(list, facts)
	}
	return list
}

func fail(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
