package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	ggrpc "google.golang.org/grpc"
	grpcmd "google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/go-kratos/kratos/v3"
	"github.com/go-kratos/kratos/v3/errors"
	"github.com/go-kratos/kratos/v3/metadata"
	md "github.com/go-kratos/kratos/v3/middleware/metadata"
	"github.com/go-kratos/kratos/v3/middleware/recovery"
	"github.com/go-kratos/kratos/v3/transport"
	"github.com/go-kratos/kratos/v3/transport/grpc"
	"github.com/go-kratos/kratos/v3/transport/http"

	"interop.test/peer/pb"
)

func serve(limit time.Duration, found both) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	service := &interop{}
	web := http.NewServer(
		http.Address("127.0.0.1:0"), http.Timeout(limit), http.Middleware(recovery.Recovery(), md.Server()),
	)
	register(web, service)
	rpc := grpc.NewServer(
		grpc.Address("127.0.0.1:0"), grpc.Timeout(limit), grpc.Middleware(recovery.Recovery(), md.Server()),
	)
	pb.RegisterInteropServer(rpc, service)
	webAt, err := web.Endpoint()
	if err != nil {
		return err
	}
	rpcAt, err := rpc.Endpoint()
	if err != nil {
		return err
	}
	options := []kratos.Option{kratos.Name("interop"), kratos.Version("v3"), kratos.Server(web, rpc)}
	if found != nil {
		options = append(options, kratos.Registrar(found), kratos.Metadata(map[string]string{"zone": "a<b&c"}))
	}
	app := kratos.New(options...)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = app.Stop()
	}()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"http": webAt.Host, "grpc": rpcAt.Host}); err != nil {
		return err
	}
	return app.Run()
}

// interop answers every call with what it saw.
type interop struct {
	pb.UnimplementedInteropServer
}

func seen(ctx context.Context, rpc string, things ...*pb.Thing) *pb.Seen {
	reply := &pb.Seen{Rpc: rpc, Metadata: map[string]string{}}
	if len(things) == 1 {
		reply.Thing = things[0]
	} else {
		reply.Things = things
	}
	if facts, ok := metadata.FromServerContext(ctx); ok {
		for key, values := range facts {
			reply.Metadata[strings.ToLower(key)] = strings.Join(values, ",")
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		reply.Left = proto.Int64(time.Until(deadline).Milliseconds())
	}
	if tr, ok := transport.FromServerContext(ctx); ok {
		tr.ReplyHeader().Set("x-seen-rpc", rpc)
	}
	return reply
}

func failure(told *pb.Failure) error {
	return errors.New(int(told.Code), told.Reason, told.Message).WithMetadata(told.Metadata)
}

func (*interop) Get(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	_ = ggrpc.SetTrailer(ctx, grpcmd.Pairs("x-after", "done"))
	return seen(ctx, "Get", in), nil
}

func (*interop) List(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "List", in), nil
}

func (*interop) Count(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Count", in), nil
}

func (*interop) Nest(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Nest", in), nil
}

func (*interop) Perhaps(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Perhaps", in), nil
}

func (*interop) Deep(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Deep", in), nil
}

func (*interop) Shelf(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Shelf", in), nil
}

func (*interop) Close(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Close", in), nil
}

func (*interop) Create(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Create", in), nil
}

func (*interop) Replace(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Replace", in), nil
}

func (*interop) Update(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Update", in), nil
}

func (*interop) Delete(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Delete", in), nil
}

func (*interop) Purge(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	return seen(ctx, "Purge", in), nil
}

func (*interop) Probe(ctx context.Context, in *pb.Thing) (*pb.Seen, error) {
	if tr, ok := transport.FromServerContext(ctx); ok {
		tr.ReplyHeader().Set("x-seen-name", in.Name) // the reply to HEAD has nothing but headers
	}
	return seen(ctx, "Probe", in), nil
}

func (*interop) Part(_ context.Context, in *pb.Thing) (*pb.Thing, error) {
	return in, nil
}

func (*interop) Fail(_ context.Context, in *pb.Failure) (*pb.Seen, error) {
	return nil, failure(in)
}

func (*interop) Hang(ctx context.Context, _ *pb.Thing) (*pb.Seen, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (*interop) Relay(ctx context.Context, in *pb.Target) (*pb.Seen, error) {
	call := scenario{Transport: in.Transport, Target: in.Address, RPC: "Get"}
	ctx = metadata.AppendToClientContext(ctx, "x-md-local-from", "relay")
	reply := &pb.Seen{}
	err := call.one(ctx, &pb.Thing{Name: "relayed"}, reply, &outcome{})
	return reply, err
}

func (*interop) Upload(_ context.Context, in *pb.File) (*pb.File, error) {
	return in, nil
}

func (*interop) Download(_ context.Context, in *pb.Thing) (*httpbody.HttpBody, error) {
	return &httpbody.HttpBody{ContentType: in.GetText(), Data: in.ABytes}, nil
}

func (*interop) Extract(_ context.Context, in *pb.Thing) (*pb.File, error) {
	content := &httpbody.HttpBody{ContentType: in.GetText(), Data: in.ABytes}
	return &pb.File{Name: in.Name, Content: content}, nil
}

func (*interop) Swap(_ context.Context, in *httpbody.HttpBody) (*httpbody.HttpBody, error) {
	return in, nil
}

func (*interop) Pour(in *pb.Thing, stream ggrpc.ServerStreamingServer[httpbody.HttpBody]) error {
	for _, word := range in.Words {
		if err := stream.Send(&httpbody.HttpBody{ContentType: "text/plain", Data: []byte(word)}); err != nil {
			return err
		}
	}
	return nil
}

func (*interop) Fill(stream ggrpc.ClientStreamingServer[httpbody.HttpBody, pb.Seen]) error {
	thing := &pb.Thing{}
	for {
		body, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(seen(stream.Context(), "Fill", thing))
		}
		if err != nil {
			return err
		}
		thing.Words = append(thing.Words, string(body.Data))
	}
}

func many(in *pb.Thing, rpc string, stream ggrpc.ServerStreamingServer[pb.Seen]) error {
	for number := range in.Count {
		reply := seen(stream.Context(), rpc, in)
		reply.Number = number
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	if in.Failure != nil {
		return failure(in.Failure)
	}
	return nil
}

func (*interop) Watch(in *pb.Thing, stream ggrpc.ServerStreamingServer[pb.Seen]) error {
	stream.SetTrailer(grpcmd.Pairs("x-after", "done"))
	return many(in, "Watch", stream)
}

func (*interop) Follow(in *pb.Thing, stream ggrpc.ServerStreamingServer[pb.Seen]) error {
	return many(in, "Follow", stream)
}

func all(rpc string, stream ggrpc.ClientStreamingServer[pb.Thing, pb.Seen]) error {
	var things []*pb.Thing
	for {
		thing, err := stream.Recv()
		if err == io.EOF {
			reply := seen(stream.Context(), rpc)
			reply.Things = things
			return stream.SendAndClose(reply)
		}
		if err != nil {
			return err
		}
		if thing.Failure != nil {
			return failure(thing.Failure)
		}
		things = append(things, thing)
	}
}

func (*interop) Collect(stream ggrpc.ClientStreamingServer[pb.Thing, pb.Seen]) error {
	return all("Collect", stream)
}

func (*interop) Gather(stream ggrpc.ClientStreamingServer[pb.Thing, pb.Seen]) error {
	return all("Gather", stream)
}

func each(rpc string, stream ggrpc.BidiStreamingServer[pb.Thing, pb.Seen]) error {
	for number := int32(0); ; number++ {
		thing, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if thing.Failure != nil {
			return failure(thing.Failure)
		}
		reply := seen(stream.Context(), rpc, thing)
		reply.Number = number
		if err := stream.Send(reply); err != nil {
			return fmt.Errorf("cannot answer: %w", err)
		}
	}
}

func (*interop) Chat(stream ggrpc.BidiStreamingServer[pb.Thing, pb.Seen]) error {
	return each("Chat", stream)
}

func (*interop) Talk(stream ggrpc.BidiStreamingServer[pb.Thing, pb.Seen]) error {
	return each("Talk", stream)
}
