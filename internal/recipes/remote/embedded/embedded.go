// Package embedded runs a NATS server with JetStream in this process.
package embedded

import (
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// AnyPort lets the system choose a port.
const AnyPort = server.RANDOM_PORT

// Serve starts a server on the loopback interface that keeps its files in dir.
// Its ClientURL is where to connect to, and Shutdown ends it.
func Serve(dir string, port int) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		Host:      "127.0.0.1",
		Port:      port,
		JetStream: true,
		StoreDir:  dir,
		NoLog:     true,
		NoSigs:    true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		s.Shutdown()
		return nil, errors.New("the NATS server does not start")
	}
	return s, nil
}
