package recipes_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
)

// overview is a handler that asks several services at once and does not let a
// slow one spoil the answer: after a second it answers with what it has. When
// the client goes away, the request's context ends, and with it all tasks.
//
// Nothing runs anymore when the handler returns, so tasks may use what belongs
// to the request. Watch out that ask must obey its context for that, as a
// request made by http.NewRequestWithContext does. Detach is for the others,
// but then a task may outlive the request.
func overview(services []string, ask func(ctx context.Context, service string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		answer := map[string]string{}
		for i, result := range await.Settle(ctx, await.Tasks(services, ask)) {
			answer[services[i]] = result.Value
			if result.Err != nil {
				answer[services[i]] = "unavailable"
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // it fails if the client has gone
	}
}

func TestHandlerAnswersWithinItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func(ctx context.Context, service string) (string, error) {
			switch service {
			case "traffic": // hangs
				<-ctx.Done()
				return "", ctx.Err()
			case "stocks":
				return "", errors.New("503 Service Unavailable")
			}
			time.Sleep(900 * time.Millisecond)
			return "sunny", nil
		}
		began := time.Now()
		answer := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		overview([]string{"weather", "traffic", "stocks"}, ask)(answer, request)
		assert.JSONEq(t, `{"weather": "sunny", "traffic": "unavailable", "stocks": "unavailable"}`, answer.Body.String())
		assert.Equal(t, time.Second, time.Since(began))
	})
}
