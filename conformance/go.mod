module github.com/seed-19b57ce3/ota/conformance

go 1.26.0

replace github.com/seed-19b57ce3/ota => ../

require (
	github.com/seed-19b57ce3/ota v0.0.0-00010101000000-000000000000
	github.com/vmware/alb-sdk v0.0.0-20210721142023-8e96475b833b
)

require (
	github.com/benbjohnson/clock v1.3.5 // indirect
	github.com/golang/glog v0.0.0-20160126235308-23def4e6c14b // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/errwrap v1.0.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	golang.org/x/sync v0.24.0 // indirect
)
