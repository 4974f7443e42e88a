module github.com/ascompleted/await/internal/tools/docs

go 1.25.0

require (
	github.com/ascompleted/await v0.0.0
	github.com/campoy/embedmd v1.0.0
	github.com/destel/rill v0.8.1
	github.com/sourcegraph/conc v0.3.0
	github.com/stretchr/testify v1.12.1
	github.com/yuin/goldmark v1.8.7
	golang.org/x/sync v0.22.0
)

require (
	go.uber.org/atomic v1.7.0 // indirect
	go.uber.org/multierr v1.9.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/ascompleted/await => ../../..
