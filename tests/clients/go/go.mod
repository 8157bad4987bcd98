module tutorials

go 1.20

require github.com/rabbitmq/amqp091-go v0.0.0

// scripts/prepare-clients puts it there, from Debian's package of its source.
replace github.com/rabbitmq/amqp091-go => ./amqp091-go
