// Package httpwork spreads jobs over worker processes by net/http. There is no
// queue and nothing to install: [Pool.Do] is a task that posts a job to a free
// worker, and the request tells all the rest. If the worker dies, the request
// fails, and Do goes to the next worker at once. If the task ends, so does the
// request, and with it the context of the job in the worker.
//
// Strangers are refused on both sides. A worker proves itself with its
// certificate, and a caller with a token. All is encrypted.
//
// The protocol is HTTP/2, for two reasons. Both sides send pings, so a machine
// that is cut off or a process that hangs is noticed within seconds, although
// a job may take hours. And a worker can refuse a job before it has read it:
// HTTP/1 may lose the reason together with the connection.
package httpwork

import (
	"net/http"
	"time"
)

// MaxSize is how many bytes a job or a result may have.
const MaxSize = 1 << 20

const (
	// maxHeader is how many bytes a header may have.
	maxHeader = 8 << 10

	// transfer is how long a job or a result may take on its way.
	transfer = 5 * time.Second

	// patience is how long a connection may be silent before a ping, how long
	// the ping's answer may take, and how long a handshake may take.
	patience = 3 * time.Second

	// idle is how long a connection without jobs stays open.
	idle = time.Minute

	// beat is the time after which a caller asks a busy worker again.
	beat = 100 * time.Millisecond
)

// jobID is the header with a job's id, which the answer repeats: what does not
// come from a worker, or is for another job, shows.
const jobID = "Job-Id"

var http2 = &http.HTTP2Config{
	MaxConcurrentStreams: 32, // how many jobs one connection can have a worker read at once
	SendPingTimeout:      patience,
	PingTimeout:          patience,
	WriteByteTimeout:     patience,
}

// onlyHTTP2 turns HTTP/1 off.
func onlyHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP2(true)
	return p
}
