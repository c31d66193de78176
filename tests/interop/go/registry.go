package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-kratos/kratos/v3/registry"
	"github.com/go-zookeeper/zk"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// The registries of Kratos cannot be had from the module proxy, so these do the same with the same clients: the keys and
// the time to live are theirs, and the records are what Kratos' own struct is as JSON.
const (
	root = "/microservices"
	ttl  = 15 // seconds
)

// both registers and finds.
type both interface {
	registry.Registrar
	registry.Discovery
}

// registryOf returns the registry at an address such as etcd://127.0.0.1:2379; nil for none.
func registryOf(url string) (both, error) {
	kind, address, _ := strings.Cut(url, "://")
	switch kind {
	case "":
		return nil, nil
	case "etcd":
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{address}, DialTimeout: patience, Logger: zap.NewNop(),
		})
		return &etcd{client}, err
	case "zookeeper":
		conn, _, err := zk.Connect([]string{address}, ttl*time.Second, zk.WithLogInfo(false))
		return &zookeeper{conn}, err
	}
	return nil, fmt.Errorf("no registry is called %q", kind)
}

type etcd struct{ client *clientv3.Client }

func keyOf(instance *registry.ServiceInstance) string {
	return fmt.Sprintf("%s/%s/%s", root, instance.Name, instance.ID)
}

func (r *etcd) Register(ctx context.Context, instance *registry.ServiceInstance) error {
	record, err := json.Marshal(instance)
	if err != nil {
		return err
	}
	lease, err := r.client.Grant(ctx, ttl)
	if err != nil {
		return err
	}
	if _, err = r.client.Put(ctx, keyOf(instance), string(record), clientv3.WithLease(lease.ID)); err != nil {
		return err
	}
	alive, err := r.client.KeepAlive(context.Background(), lease.ID)
	go func() {
		for range alive {
		}
	}()
	return err
}

func (r *etcd) Deregister(ctx context.Context, instance *registry.ServiceInstance) error {
	_, err := r.client.Delete(ctx, keyOf(instance))
	return err
}

func (r *etcd) GetService(ctx context.Context, name string) ([]*registry.ServiceInstance, error) {
	found, err := r.client.Get(ctx, fmt.Sprintf("%s/%s", root, name), clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	var records [][]byte
	for _, pair := range found.Kvs {
		records = append(records, pair.Value)
	}
	return instancesOf(name, records)
}

func (r *etcd) Watch(ctx context.Context, name string) (registry.Watcher, error) {
	changes := r.client.Watch(ctx, fmt.Sprintf("%s/%s", root, name), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	ctx, cancel := context.WithCancel(ctx)
	return &watcher{ctx, cancel, true, func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case change, open := <-changes:
			if !open {
				return fmt.Errorf("the watch has ended")
			}
			return change.Err()
		}
	}, func() ([]*registry.ServiceInstance, error) { return r.GetService(ctx, name) }}, nil
}

type zookeeper struct{ conn *zk.Conn }

func (r *zookeeper) Register(_ context.Context, instance *registry.ServiceInstance) error {
	record, err := json.Marshal(instance)
	if err != nil {
		return err
	}
	everybody := zk.WorldACL(zk.PermAll)
	for _, parent := range []string{root, root + "/" + instance.Name} {
		if _, err := r.conn.Create(parent, nil, 0, everybody); err != nil && err != zk.ErrNodeExists {
			return err
		}
	}
	_, err = r.conn.Create(keyOf(instance), record, zk.FlagEphemeral, everybody)
	return err
}

func (r *zookeeper) Deregister(_ context.Context, instance *registry.ServiceInstance) error {
	return r.conn.Delete(keyOf(instance), -1)
}

func (r *zookeeper) GetService(_ context.Context, name string) ([]*registry.ServiceInstance, error) {
	place := root + "/" + name
	children, _, err := r.conn.Children(place)
	if err != nil {
		return nil, err
	}
	var records [][]byte
	for _, child := range children {
		record, _, err := r.conn.Get(place + "/" + child)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return instancesOf(name, records)
}

func (r *zookeeper) Watch(ctx context.Context, name string) (registry.Watcher, error) {
	_, _, changes, err := r.conn.ChildrenW(root + "/" + name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	return &watcher{ctx, cancel, true, func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changes:
			_, _, changes, err = r.conn.ChildrenW(root + "/" + name)
			return err
		}
	}, func() ([]*registry.ServiceInstance, error) { return r.GetService(ctx, name) }}, nil
}

// watcher tells the whole list: at once, then after each change.
type watcher struct {
	ctx    context.Context
	cancel context.CancelFunc
	first  bool
	wait   func() error
	list   func() ([]*registry.ServiceInstance, error)
}

func (w *watcher) Next() ([]*registry.ServiceInstance, error) {
	if !w.first {
		if err := w.wait(); err != nil {
			return nil, err
		}
	}
	w.first = false
	return w.list()
}

func (w *watcher) Stop() error {
	w.cancel()
	return nil
}

func instancesOf(name string, records [][]byte) ([]*registry.ServiceInstance, error) {
	var found []*registry.ServiceInstance
	for _, record := range records {
		instance := &registry.ServiceInstance{}
		if err := json.Unmarshal(record, instance); err != nil {
			return nil, err
		}
		if instance.Name == name {
			found = append(found, instance)
		}
	}
	return found, nil
}
