package main

import (
	"context"
	"io"
	"reflect"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/go-kratos/kratos/v3/transport/http"

	"interop.test/peer/pb"
)

const protojson = "application/protojson"

// method is what the contract says of one RPC.
type method struct {
	name      string
	operation string
	desc      protoreflect.MethodDescriptor
	rules     []rule // those beside the primary one come first, which comes last: the order of registration
}

// rule is one google.api.http binding.
type rule struct {
	verb, path, body, response string
}

func methods() []method {
	service := pb.File_interop_v1_interop_proto.Services().Get(0)
	var all []method
	for i := range service.Methods().Len() {
		desc := service.Methods().Get(i)
		found := method{name: string(desc.Name()), desc: desc}
		found.operation = "/" + string(service.FullName()) + "/" + found.name
		primary := proto.GetExtension(desc.Options(), annotations.E_Http).(*annotations.HttpRule)
		for _, more := range primary.AdditionalBindings {
			found.rules = append(found.rules, ruleOf(more))
		}
		found.rules = append(found.rules, ruleOf(primary))
		all = append(all, found)
	}
	return all
}

func methodOf(name string) (method, bool) {
	for _, candidate := range methods() {
		if candidate.name == name {
			return candidate, true
		}
	}
	return method{}, false
}

func ruleOf(said *annotations.HttpRule) rule {
	found := rule{body: said.Body, response: said.ResponseBody}
	switch pattern := said.Pattern.(type) {
	case *annotations.HttpRule_Get:
		found.verb, found.path = "GET", pattern.Get
	case *annotations.HttpRule_Put:
		found.verb, found.path = "PUT", pattern.Put
	case *annotations.HttpRule_Post:
		found.verb, found.path = "POST", pattern.Post
	case *annotations.HttpRule_Delete:
		found.verb, found.path = "DELETE", pattern.Delete
	case *annotations.HttpRule_Patch:
		found.verb, found.path = "PATCH", pattern.Patch
	case *annotations.HttpRule_Custom:
		found.verb, found.path = pattern.Custom.Kind, pattern.Custom.Path
	}
	return found
}

func (m method) newRequest() proto.Message { return instance(m.desc.Input()) }
func (m method) newReply() proto.Message   { return instance(m.desc.Output()) }

func instance(desc protoreflect.MessageDescriptor) proto.Message {
	found, err := protoregistry.GlobalTypes.FindMessageByName(desc.FullName())
	fail(err)
	return found.New().Interface()
}

// field returns a pointer to a field of a message by its name in the contract, as generated code has it: &in.Leaf.
func field(message proto.Message, name string) any {
	words := strings.Split(name, "_")
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return reflect.ValueOf(message).Elem().FieldByName(strings.Join(words, "")).Addr().Interface()
}

// allocated returns a field of a message that is a message, made if there is none.
func allocated(message proto.Message, name string) any {
	slot := reflect.ValueOf(field(message, name)).Elem()
	if slot.IsNil() {
		slot.Set(reflect.New(slot.Type().Elem()))
	}
	return slot.Interface()
}

var variable = regexp.MustCompile(`{([\w.]+)=([^{}]*)}`)

// muxPath turns the pattern of a variable into the regular expression that the router wants.
func (r rule) muxPath() string {
	return variable.ReplaceAllStringFunc(r.path, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		segments := strings.Split(parts[2], "/")
		for i, segment := range segments {
			switch segment {
			case "*":
				segments[i] = "[^/]+"
			case "**":
				segments[i] = ".*"
			default:
				segments[i] = regexp.QuoteMeta(segment)
			}
		}
		return "{" + parts[1] + ":" + strings.Join(segments, "/") + "}"
	})
}

// register makes the routes of a service: what generated RegisterXHTTPServer functions do.
func register(srv *http.Server, service any) {
	router := srv.Route("/")
	for _, m := range methods() {
		for _, r := range m.rules {
			switch {
			case m.desc.IsStreamingClient():
				router.GET(r.muxPath(), webSocket(m, r, service))
			case m.desc.IsStreamingServer():
				router.Handle(r.verb, r.muxPath(), events(m, r, service))
			default:
				router.Handle(r.verb, r.muxPath(), unary(m, r, service))
			}
		}
	}
}

func bind(ctx http.Context, r rule, in proto.Message) error {
	switch r.body {
	case "":
	case "*":
		if err := ctx.Bind(in); err != nil {
			return err
		}
	default:
		if err := ctx.Bind(field(in, r.body)); err != nil {
			return err
		}
	}
	if r.body != "*" {
		if err := ctx.BindQuery(in); err != nil {
			return err
		}
	}
	if strings.Contains(r.path, "{") {
		return ctx.BindVars(in)
	}
	return nil
}

func unary(m method, r rule, service any) http.HandlerFunc {
	var handler func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error)
	for _, desc := range pb.Interop_ServiceDesc.Methods {
		if desc.MethodName == m.name {
			handler = desc.Handler
		}
	}
	return func(ctx http.Context) error {
		in := m.newRequest()
		if err := bind(ctx, r, in); err != nil {
			return err
		}
		http.SetOperation(ctx, m.operation)
		h := ctx.Middleware(func(ctx context.Context, req any) (any, error) {
			return handler(service, ctx, func(into any) error {
				proto.Merge(into.(proto.Message), req.(proto.Message))
				return nil
			}, nil)
		})
		out, err := h(ctx, in)
		if err != nil {
			return err
		}
		if r.response != "" && r.response != "*" {
			return ctx.Result(200, reflect.ValueOf(field(out.(proto.Message), r.response)).Elem().Interface())
		}
		return ctx.Result(200, out)
	}
}

func streamHandler(m method) grpc.StreamHandler {
	for _, desc := range pb.Interop_ServiceDesc.Streams {
		if desc.StreamName == m.name {
			return desc.Handler
		}
	}
	return nil
}

func events(m method, r rule, service any) http.HandlerFunc {
	handler := streamHandler(m)
	return func(ctx http.Context) error {
		in := m.newRequest()
		if err := bind(ctx, r, in); err != nil {
			return err
		}
		http.SetOperation(ctx, m.operation)
		stream := http.NewServerSentEventServerStream(ctx)
		h := ctx.Middleware(func(ctx context.Context, req any) (any, error) {
			stream.SetContext(ctx)
			return nil, handler(service, &oneRequest{ServerStream: stream, request: req.(proto.Message)})
		})
		_, err := h(ctx, in)
		return stream.Close(err)
	}
}

func webSocket(m method, r rule, service any) http.HandlerFunc {
	handler := streamHandler(m)
	var options []http.ServerStreamOption
	if r.body != "" && r.body != "*" {
		options = append(options, http.WithStreamBodyField(r.body))
	}
	return func(ctx http.Context) error {
		http.SetOperation(ctx, m.operation)
		stream, err := http.NewWebSocketServerStream(ctx, options...)
		if err != nil {
			return err
		}
		h := ctx.Middleware(func(ctx context.Context, _ any) (any, error) {
			stream.SetContext(ctx)
			return nil, handler(service, &manyRequests{stream})
		})
		_, err = h(ctx, nil)
		return stream.Close(err)
	}
}

// oneRequest is a stream for the handler that grpc generates: its one request has been read already.
type oneRequest struct {
	http.ServerStream
	request proto.Message
}

func (s *oneRequest) RecvMsg(into any) error {
	if s.request == nil {
		return io.EOF
	}
	proto.Merge(into.(proto.Message), s.request)
	s.request = nil
	return nil
}

// manyRequests is a stream for the handler that grpc generates: Recv binds query and path as well, RecvMsg does not.
type manyRequests struct {
	http.ServerStream
}

func (s *manyRequests) RecvMsg(into any) error { return s.Recv(into) }
