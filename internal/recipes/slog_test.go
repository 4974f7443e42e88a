package recipes_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/ascompleted/await"
)

// One record for each result, written by the loop.
//
// With Recover a task's panic is an error whose text includes the stack. In a
// log the two are better apart. Watch out to log a task in one place: what the
// task has logged already, its error need not repeat.
func Example_structuredLog() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: reproducible}))

	users := []string{"ada", "bob", "eve"}
	for i, r := range await.InOrder(context.Background(), await.Tasks(users, invite), await.Recover()) {
		log := log.With("user", users[i])
		var panicked *await.PanicError
		switch {
		case errors.As(r.Err, &panicked):
			log.Error("inviting panicked", "panic", panicked.Value, "stack", string(panicked.Stack))
		case r.Err != nil:
			log.Warn("not invited", "error", r.Err)
		default:
			log.Info("invited", "message", r.Value)
		}
	}
	// Output:
	// level=INFO msg=invited user=ada message=1001
	// level=WARN msg="not invited" user=bob error="the mailbox is full"
	// level=ERROR msg="inviting panicked" user=eve panic="no address book"
}

// invite returns the number of the message that it has sent.
func invite(_ context.Context, user string) (int, error) {
	switch user {
	case "bob":
		return 0, errors.New("the mailbox is full")
	case "eve":
		panic("no address book")
	}
	return 1001, nil
}

// reproducible leaves out what differs from run to run.
func reproducible(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "stack" {
		return slog.Attr{}
	}
	return a
}
