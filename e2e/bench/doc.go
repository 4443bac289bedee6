// Package bench measures the product on a running cluster, each figure beside the
// floor that the same machine sets in the same run: what bare pods, a bare bus or
// bare API calls take. Ratios count; the figures themselves are of one machine.
//
// It makes and removes a namespace of its own and touches nothing else, but for
// its own subjects on the bus and its own repository on the demo's Git server.
// Every run is bounded in time and in messages.
package bench
