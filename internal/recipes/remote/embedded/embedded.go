// Package embedded runs a NATS server with JetStream in this process.
package embedded

import (
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// AnyPort lets the system choose a port.
const AnyPort = server.RANDOM_PORT

// Serve starts a server with this configuration on the loopback interface. It
// keeps its files in dir. Its ClientURL is where to connect to, and Shutdown
// ends it.
func Serve(config, dir string, port int) (*server.Server, error) {
	var options server.Options
	if err := options.ProcessConfigString(config); err != nil {
		return nil, err
	}
	options.Host, options.Port = "127.0.0.1", port
	options.JetStream, options.StoreDir = true, dir
	options.NoLog, options.NoSigs = true, true
	s, err := server.NewServer(&options)
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
