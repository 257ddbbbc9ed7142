module github.com/seed-19b57ce3/ota/conformance

go 1.26.0

replace github.com/seed-19b57ce3/ota => ../

require (
	github.com/Azure/azure-sdk-for-go v68.0.0+incompatible
	github.com/Azure/go-autorest/autorest v0.11.30
	github.com/seed-19b57ce3/ota v0.0.0-00010101000000-000000000000
	github.com/vmware/alb-sdk v0.0.0-20210721142023-8e96475b833b
)
