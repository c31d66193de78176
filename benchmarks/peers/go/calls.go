package main

import (
	"context"

	"google.golang.org/grpc"

	"bench.test/peer/pb"
)

type greeter interface {
	SayHello(context.Context, *pb.HelloRequest) (*pb.HelloReply, error)
}

type kinds interface {
	Watch(*pb.Ping, grpc.ServerStreamingServer[pb.Pong]) error
}

type service struct{}

func (service) SayHello(_ context.Context, in *pb.HelloRequest) (*pb.HelloReply, error) {
	return &pb.HelloReply{Message: "Hello " + in.Name}, nil
}

func (service) Watch(in *pb.Ping, replies grpc.ServerStreamingServer[pb.Pong]) error {
	for number := range in.Count {
		if err := replies.Send(&pb.Pong{Text: in.Text, Count: number}); err != nil {
			return err
		}
	}
	return nil
}

func greet(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(pb.HelloRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(greeter).SayHello(ctx, in)
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: "/fixture.helloworld.v1.Greeter/SayHello"}
	return interceptor(ctx, in, info, func(ctx context.Context, req any) (any, error) {
		return srv.(greeter).SayHello(ctx, req.(*pb.HelloRequest))
	})
}

func watch(srv any, stream grpc.ServerStream) error {
	in := new(pb.Ping)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	return srv.(kinds).Watch(in, &grpc.GenericServerStream[pb.Ping, pb.Pong]{ServerStream: stream})
}

// The services under the names that all peers use, as protoc-gen-go-grpc describes them.
var services = []grpc.ServiceDesc{
	{
		ServiceName: "fixture.helloworld.v1.Greeter",
		HandlerType: (*greeter)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "SayHello", Handler: greet}},
	},
	{
		ServiceName: "fixture.kinds.v1.Kinds",
		HandlerType: (*kinds)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "Watch", Handler: watch, ServerStreams: true}},
	},
}
