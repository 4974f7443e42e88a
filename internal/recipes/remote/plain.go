package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// A plain request is the shortest way to another process by the means of a
// recipe: the same encryption, and no job. The other process is a peer.

// subject is one that the keys allow, if the peer is a caller and whoever asks
// it is a worker.
const subject = "results.peer"

// plainHTTP returns what asks a peer.
func plainHTTP(c *config, url string) (request do, hangUp func(), err error) {
	config, err := c.keys.Client()
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	return func(ctx context.Context, text []byte) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		return io.ReadAll(response.Body)
	}, transport.CloseIdleConnections, nil
}

// peerHTTP is a peer. It prints its URL.
func peerHTTP(ctx context.Context, c *config, stdout io.Writer) error {
	config, err := c.keys.Server()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "https://%s\n", listener.Addr())
	server := http.Server{
		TLSConfig:         config,
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, r.Body) //nolint:errcheck // the client will notice
		}),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	return server.ServeTLS(listener, "", "")
}

// plainNATS returns what asks a peer.
func plainNATS(c *config, subject string) (request do, hangUp func(), err error) {
	nc, err := natswork.Connect(c.url, natswork.Worker, c.keys)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, text []byte) ([]byte, error) {
		m, err := nc.RequestWithContext(ctx, subject, text)
		if err != nil {
			return nil, err
		}
		return m.Data, nil
	}, nc.Close, nil
}

// peerNATS is a peer. It prints its subject.
func peerNATS(ctx context.Context, c *config, stdout io.Writer) error {
	nc, err := natswork.Connect(c.url, natswork.Caller, c.keys)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = nc.Subscribe(subject, func(m *nats.Msg) {
		m.Respond(m.Data) //nolint:errcheck // whoever asks will notice
	})
	if err != nil {
		return err
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(stdout, subject)
	<-ctx.Done()
	return context.Cause(ctx)
}
