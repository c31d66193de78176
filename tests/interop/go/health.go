package main

import (
	"context"
	"encoding/json"
	"os"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/go-kratos/kratos/v3/errors"
	"github.com/go-kratos/kratos/v3/transport/grpc"
)

// watched is whose health to watch.
type watched struct {
	Target  string `json:"target"`
	Service string `json:"service"`
}

// run prints a line of JSON for each status, and one for the error that the stream ends with.
//
// The client's own health check is off: it would not let us ask a server that does not serve.
func (w watched) run() error {
	ctx := context.Background()
	conn, err := grpc.NewClient(ctx, grpc.WithEndpoint(w.Target), grpc.WithHealthCheck(false))
	if err != nil {
		return err
	}
	defer conn.Close()
	out := json.NewEncoder(os.Stdout)
	request := &grpc_health_v1.HealthCheckRequest{Service: w.Service}
	stream, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, request)
	if err != nil {
		return err
	}
	for {
		reply, err := stream.Recv()
		if err != nil {
			status := errors.FromError(err)
			return out.Encode(map[string]any{"code": status.Code, "reason": status.Reason})
		}
		if err := out.Encode(map[string]any{"status": reply.Status.String()}); err != nil {
			return err
		}
	}
}
