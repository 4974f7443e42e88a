// Package client stands in for go.temporal.io/sdk/client in an example. The
// original requires a newer Go than this module, and takes longer to compile
// than all the rest of it.
package client

import "context"

// StartWorkflowOptions say which workflow to start, and for whom.
type StartWorkflowOptions struct{ ID, TaskQueue string }

// Client starts workflows, all of which return what it is.
type Client string

// ExecuteWorkflow starts a workflow.
func (c Client) ExecuteWorkflow(context.Context, StartWorkflowOptions, any, ...any) (WorkflowRun, error) {
	return WorkflowRun(c), nil
}

// WorkflowRun is a workflow that was started.
type WorkflowRun string

// Get waits for the result.
func (r WorkflowRun) Get(_ context.Context, result any) error {
	*result.(*string) = string(r)
	return nil
}
