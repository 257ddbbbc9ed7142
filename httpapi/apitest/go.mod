module github.com/seed-19b57ce3/ota/httpapi/apitest

go 1.26.0

replace github.com/seed-19b57ce3/ota => ../../

require (
	github.com/getkin/kin-openapi v0.152.0 // indirect
	github.com/go-chi/chi/v5 v5.5.0 // indirect
	github.com/gorilla/mux v1.8.1 // indirect
)
