// Package natswork is a work queue on NATS JetStream. A caller's [Queue.Do] is
// a task: it queues a job and waits for its result. Any number of workers, on
// any machine, run [Work]: each takes one job at a time.
//
// While a worker has a job, it asks the caller at every beat whether the result
// is still wanted, and tells the server that it is alive. So everything that
// can go wrong shows as an answer that does not come, or is no:
//
//   - The caller's task has ended: the answer is no. The job's context ends, and
//     the job is deleted.
//   - The caller is dead or cut off: no answer. After a while the job's context
//     ends, and the job goes back to the queue, in case the caller comes back.
//   - The worker is dead or cut off: the server hears nothing, and gives the
//     job to another worker.
//   - The server is dead: the jobs are in its files, callers and workers connect
//     again, and the answers of the meantime count as those that did not come.
//
// A job is thus delivered at least once, and a result is taken once.
//
// Strangers are refused: all connections are encrypted, the server proves itself
// with a certificate, and callers and workers with an NKey. What each of them
// can do is in [Config].
package natswork

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

const (
	// beat is the time between two questions of a worker to a caller.
	beat = 250 * time.Millisecond

	// patience is how long one may be silent before one counts as dead: a
	// worker to the server, a caller to its worker.
	patience = 3 * time.Second
)

// MaxSize is how many bytes a job or a result may have.
const MaxSize = 1 << 20

// maxHeader is how many bytes a header may have.
const maxHeader = 8 << 10

// Role is what a connection is for.
type Role string

// A connection is for a caller or for a worker.
const (
	Caller Role = "caller" // for [NewQueue]
	Worker Role = "worker" // for [Work]
)

// file is the file with the NKey.
func (r Role) file() string {
	if r == Caller {
		return keys.CallerNKey
	}
	return keys.WorkerNKey
}

// Connect connects to a server that has the certificate of the keys, and
// connects again whenever the connection breaks, for as long as it takes.
func Connect(url string, role Role, dir keys.Dir, options ...nats.Option) (*nats.Conn, error) {
	config, err := dir.Client()
	if err != nil {
		return nil, err
	}
	nkey, err := nats.NkeyOptionFromSeed(dir.Path(role.file()))
	if err != nil {
		return nil, err
	}
	return nats.Connect(url, append(options,
		nats.Secure(config), nkey,
		nats.CustomInboxPrefix("_INBOX."+string(role)), // as in Config
		nats.PingInterval(patience),
		nats.MaxReconnects(-1), nats.ReconnectWait(beat),
	)...)
}

const (
	stream   = "JOBS"
	consumer = "workers"
	subject  = "jobs"
	results  = "results" // the beginning of all ids
)

// open makes the queue, if it is not there. If there is another of this name,
// it leaves that alone and fails.
func open(ctx context.Context, nc *nats.Conn) (jetstream.JetStream, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	queue, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name:       stream,
		Subjects:   []string{subject},
		Retention:  jetstream.WorkQueuePolicy, // an acknowledged job is deleted
		MaxAge:     24 * time.Hour,            // so are, some day, the jobs of dead callers
		MaxMsgSize: MaxSize + maxHeader,
	})
	if err != nil {
		return nil, fmt.Errorf("make the queue: %w", err)
	}
	_, err = queue.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       consumer,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       patience,
		MaxAckPending: -1, // or the jobs of dead callers, which wait too, would hold up the others
	})
	if err != nil {
		return nil, fmt.Errorf("make the queue: %w", err)
	}
	return js, nil
}

// find waits until a caller has made the queue.
func find(ctx context.Context, nc *nats.Conn) (jetstream.Consumer, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	for {
		c, err := js.Consumer(ctx, stream, consumer)
		missing := errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound)
		if !missing {
			return c, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// What a worker sends has the job's id as its subject, and in this header what
// it is: a question, or one of two kinds of result. The answer is whether the
// caller wants the result: true or false.
const (
	kind     = "Kind"
	question = "question"
	value    = "value"
	failure  = "failure"
)

func tooLarge(what string) error { return fmt.Errorf("the %s has more than %d bytes", what, MaxSize) }
