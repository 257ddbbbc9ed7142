module github.com/seed-19b57ce3/ota

go 1.26.0

require github.com/hashicorp/go-multierror v1.1.1

require github.com/hashicorp/errwrap v1.0.0 // indirect
