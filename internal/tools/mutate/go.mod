module github.com/ascompleted/await/internal/tools/mutate

go 1.25.0

require (
	github.com/ascompleted/await v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.22.0 // indirect
)

replace github.com/ascompleted/await => ../../..
