//! The codes themselves. A new one takes the next free number of its area; see docs/development/adding-an-error.md.

use super::{Explanation, codes};

codes! {
    "Configuration" {
        NotToml "0101" "the file is not valid TOML" {
            means: "hive.toml, a file that it includes, or a test file breaks the syntax of TOML at the place shown. \
                    Errors that may only follow from the part that could not be read are not reported.",
            steps: [
                "Correct the line; https://toml.io describes the syntax.",
                "Run `hive-host check hive.toml` again: more errors may appear once the whole file is read.",
            ],
            example: "error[HIVE-0101]: the file is not valid TOML: unclosed table, expected `]`",
        }
        KeyTwice "0102" "a key is written twice" {
            means: "TOML allows each key once in a table, and each table header once in a file. The second one is \
                    not merged into the first.",
            steps: ["Keep one of them, and move into it what only the other one has."],
            example: "error[HIVE-0102]: the file is not valid TOML: duplicate key",
        }
        UnknownKey "0103" "a key that Hive does not know" {
            means: "The table has no key of this name. It is an error and not ignored, since a misspelt key would \
                    silently leave its default in force.",
            steps: [
                "Take the name that the remedy proposes, or look it up in docs/configuration.md.",
                "Let an editor complete keys: `hive-host schema` prints the JSON Schema.",
            ],
            example: "error[HIVE-0103]: `consumers.orders.prefech` is not a known key",
        }
        MissingKey "0104" "a required key is missing" {
            means: "The table lacks a key that has no default, or a key without which another one has no effect.",
            steps: ["Add the key that the remedy names to the table shown."],
            example: "error[HIVE-0104]: `consumers.orders.queue` is missing",
        }
        WrongType "0105" "a value of the wrong type" {
            means: "The key takes another type of value, such as a string where a number is written. Strings need \
                    quotes, numbers and booleans have none.",
            steps: ["Write a value of the type that the message names."],
            example: "error[HIVE-0105]: `consumers.orders.prefetch` must be an integer, not the string \"ten\"",
        }
        OutOfRange "0106" "a value out of range" {
            means: "The value is of the right type, and below or above what the key allows. The remedy names the \
                    bounds.",
            steps: ["Write a value within the bounds."],
            example: "error[HIVE-0106]: `consumers.orders.concurrency` must not be 0",
        }
        BadUnit "0107" "a duration or size without a unit" {
            means: "Durations and sizes are strings with a unit, so that nobody has to guess whether a number means \
                    seconds or milliseconds. This one has none, or one that Hive does not know.",
            steps: [
                "Write durations as in \"1s500ms\" (ms, s, m, h, d).",
                "Write sizes as in \"64MiB\" (B, kB, KiB, MB, MiB, GB, GiB).",
            ],
            example: "error[HIVE-0107]: `components.orders.timeout` has no unit: it is the integer 30",
        }
        UnknownChoice "0108" "a word that is not one of the choices" {
            means: "The key takes one of a few words, and this is none of them. Words are case-sensitive.",
            steps: ["Write one of the words that the remedy lists."],
            example: "error[HIVE-0108]: `queues.\"orders\".type` cannot be \"quorom\"",
        }
        EmptyValue "0109" "an empty value" {
            means: "The key is set to an empty string or list, which does not mean the default.",
            steps: ["Fill in a value, or remove the key so that its default applies."],
            example: "error[HIVE-0109]: `consumers.orders.retry.delays` must not be empty",
        }
        BadName "0110" "a name that cannot be used" {
            means: "Names of consumers, components, connections, queues and exchanges have 1 to 255 bytes, without \
                    control characters. AMQP allows no longer ones.",
            steps: ["Shorten the name, or remove line ends and tabs from it."],
            example: "error[HIVE-0110]: `queues.\"\"` has an empty name",
        }
        MainFileOnly "0111" "a key that belongs into the main file" {
            means: "Included files define connections, components, consumers, exchanges and queues. Keys that hold \
                    for the whole host, such as those of `[host]`, are in the file that includes them.",
            steps: ["Move the key to the file that includes this one."],
            example: "error[HIVE-0111]: `host` has no place in an included file",
        }
        VariableNotSet "0112" "an environment variable is not set" {
            means: "A value contains `${NAME}`, and the environment of hive-host has no variable of that name. A \
                    variable that is set to an empty text counts as set.",
            steps: [
                "Set the variable for the process: in the unit file, in the pod or in the shell.",
                "Or give it a default in the file: `${NAME:-default}`.",
            ],
            example: "error[HIVE-0112]: `connections.main.url` needs the environment variable BROKER_URL, which is not set",
        }
        BadReference "0113" "a malformed reference to a variable" {
            means: "A value contains `${` without a closing `}`, or something between them that is no name of a \
                    variable.",
            steps: [
                "Write `${NAME}` or `${NAME:-default}`.",
                "For a literal `${`, write `$${`.",
            ],
            example: "error[HIVE-0113]: `connections.main.url` has a `${` without its `}`",
        }
        VariableNotUtf8 "0114" "an environment variable is not UTF-8" {
            means: "The variable is set to bytes that are not text in UTF-8, so that its value cannot become a value \
                    of hive.toml or be shown to a component.",
            steps: ["Set the variable to a text in UTF-8, or remove it."],
            example: "error[HIVE-0114]: `connections.main.url` needs the environment variable LATIN, whose value is not UTF-8",
        }
        UnknownReference "0115" "a name that nothing has" {
            means: "The value names a connection, component or consumer that no table of the file defines. Names \
                    are case-sensitive.",
            steps: [
                "Take the name that the remedy proposes.",
                "Or add the table, such as `[components.NAME]` with its `path`.",
            ],
            example: "error[HIVE-0115]: `consumers.orders.component` names no component: \"oders\"",
        }
        UndeclaredQueue "0116" "a queue whose name nearly matches a declared one" {
            means: "The consumer's queue is not declared in the file, and the name of a declared queue differs from \
                    it by one slip. A queue need not be declared here, so this is a warning.",
            steps: [
                "Correct the name if it is misspelt.",
                "Ignore the warning if another program declares the queue.",
            ],
            example: "warning[HIVE-0116]: `consumers.orders.queue` is not declared here: \"order.created\"",
        }
        Conflict "0117" "keys that exclude one another" {
            means: "Two keys are set that cannot be combined, or that both say the same thing. Hive does not choose \
                    one of them.",
            steps: ["Keep the one that is meant; the remedy says what each one is for."],
            example: "error[HIVE-0117]: `consumers.orders.ordered_by` does not go with `batch`: those of one key stand in one batch together",
        }
        NoEffect "0118" "a key without effect here" {
            means: "The key only applies together with another one that is absent or has another value. Hive reports \
                    it, since whoever wrote it expects an effect.",
            steps: ["Remove the key, or set the other one as the remedy says."],
            example: "error[HIVE-0118]: `components.orders.recycle_after` has no meaning with `instances = \"fresh\"`",
        }
        Duplicate "0119" "a name that is used twice" {
            means: "Two tables of the file and of the files that it includes have the same name, or two entries that \
                    must differ are equal.",
            steps: ["Rename one of them, or remove it; the message names both places."],
            example: "error[HIVE-0119]: `consumers.orders` is defined at hive.toml:12 and at consumers.d/orders.toml:1",
        }
        FileUnreadable "0120" "a file cannot be read" {
            means: "hive.toml, or a file that it names, does not exist, is not readable for the user of the process, \
                    or is not UTF-8. Relative paths start at the file that names them.",
            steps: [
                "Check the path that the message shows.",
                "Check the rights of the file and of the folders above it.",
            ],
            example: "error[HIVE-0120]: cannot read hive.toml: No such file or directory (os error 2)",
        }
        BadPattern "0121" "an include pattern that is wrong or matches no file" {
            means: "`include` takes paths and globs. This glob has a wrong syntax, which is an error, or matches no \
                    file, which is a warning.",
            steps: ["Correct the pattern, or put a file where it looks: it is relative to hive.toml."],
            example: "warning[HIVE-0121]: `include[0]` matches no file: \"consumers.d/*.toml\"",
        }
        BadUrl "0122" "a malformed URL" {
            means: "The URL of a broker or of Redis has a part that cannot be read. Characters with a meaning in a \
                    URL must be percent-encoded in the user, the password and the virtual host.",
            steps: [
                "Write it as in \"amqp://user:password@host:5672/vhost\"; the virtual host \"/\" is %2f.",
                "Percent-encode `/`, `?`, `#`, `@` and `%`: %2f, %3f, %23, %40, %25.",
            ],
            example: "error[HIVE-0122]: `connections.main.url` does not begin with amqp:// or amqps://",
        }
        BadKeyFile "0123" "a certificate or key that cannot be used" {
            means: "A file of a `tls` table is not PEM, holds something else than its key asks for, or the private \
                    key and the certificate do not belong together.",
            steps: [
                "Look at it with `openssl x509 -in FILE -text` or `openssl pkey -in FILE -noout`.",
                "Name a private key without passphrase, made for the first certificate in `cert`.",
            ],
            example: "error[HIVE-0123]: `connections.main.tls.key` is not the private key of the certificate in `cert`",
        }
        TlsWithoutTls "0124" "TLS settings for a URL without TLS" {
            means: "The connection has a `tls` table, and its URL begins with amqp:// or redis://, so that nothing \
                    would be encrypted.",
            steps: ["Write amqps:// or rediss:// and the port for TLS in the URL, or remove the `tls` table."],
            example: "error[HIVE-0124]: `connections.main.tls` is set, and the URL is amqp://, without TLS",
        }
        QueueKind "0125" "a setting that this type of queue does not have" {
            means: "Classic queues, quorum queues and streams have different arguments and rights. RabbitMQ would \
                    refuse the declaration.",
            steps: ["Remove the key, or set another `type` of the queue."],
            example: "error[HIVE-0125]: `queues.\"orders\".max_priority` is not supported by a quorum queue",
        }
        ReservedName "0126" "a name that belongs to the broker" {
            means: "Names that begin with `amq.` are reserved by AMQP. The broker refuses to declare them.",
            steps: ["Rename it, or add `passive = true` to use one that the broker already has."],
            example: "error[HIVE-0126]: `exchanges.\"amq.orders\"` has a name that begins with `amq.`, which is the broker's own",
        }
        LowDeliveryLimit "0127" "a low delivery limit" {
            means: "The broker counts every return of a message against `delivery_limit`, also those of a lost \
                    connection or a stopped host. At a low limit it drops innocent messages, or dead-letters them \
                    without a cause.",
            steps: [
                "Remove `delivery_limit`: Hive's own `retry.limit` counts failures only.",
                "Or write 20 or more.",
            ],
            example: "warning[HIVE-0127]: `queues.\"orders\".delivery_limit` is low: 3",
        }
        StreamKey "0128" "a key without meaning for a stream" {
            means: "A stream keeps its messages after they were read, so nothing is retried into it, and its depth \
                    is not a backlog. Keys that build on that have no meaning there.",
            steps: [
                "Remove the key; docs/streams.md lists those that apply.",
                "Set `stream.on_error` for messages that fail.",
            ],
            example: "error[HIVE-0128]: `consumers.audit.retry.limit` has no meaning for a stream: everybody would read the retry",
        }
        CrossedBounds "0129" "bounds that contradict one another" {
            means: "One number of the table bounds another one, and they cross: a `prefetch` below the number of \
                    workers or the size of a batch, a `max` below `min`, a first delay above the longest.",
            steps: ["Raise one of them or lower the other; the remedy names the bound."],
            example: "error[HIVE-0129]: `consumers.orders.prefetch` is below `concurrency`: 2 against 8",
        }
        BadGrant "0130" "a grant that cannot be used" {
            means: "An entry of a component's `allow` is not a host, a directory, a variable or a pattern of \
                    exchange and routing key. Hive grants nothing on a guess.",
            steps: ["Correct the entry; docs/sandbox.md shows the form of each."],
            example: "error[HIVE-0130]: `components.orders.allow.http[0]` is more than a host and a port: \"https://api.example.com\"",
        }
        BadForm "0131" "a value in the wrong form" {
            means: "The value is text in a form that this key cannot read: a checksum, an address, a log filter, a \
                    rate, a time, a regular expression.",
            steps: ["Write it in the form that the remedy shows."],
            example: "error[HIVE-0131]: `consumers.orders.rate` is not a rate: \"100\"",
        }
        DeadLetterLoop "0132" "a consumer that would dead-letter into its own queue" {
            means: "`retry.dead_letter` names the queue that the consumer reads. A message that fails would come \
                    back for ever.",
            steps: ["Name another queue, or remove the key: the default is QUEUE.dead."],
            example: "error[HIVE-0132]: `consumers.orders.retry.dead_letter` is the queue consumed from: \"orders\"",
        }
        QueueNameTooLong "0133" "a queue name without room for its delay queues" {
            means: "A consumer's own delay queues and its dead-letter queue have the name of its queue and a suffix, \
                    and AMQP allows 255 bytes for the whole.",
            steps: [
                "Shorten the name of the queue.",
                "Or set `retry.queues = \"shared\"`, and name a shorter `retry.dead_letter`.",
            ],
            example: "error[HIVE-0133]: `consumers.orders.queue` is too long for its delay queues: 240 bytes",
        }
        ConsumerTimeout "0134" "deliveries may outlast the broker's consumer timeout" {
            means: "A RabbitMQ broker takes a delivery back that is not answered within its `consumer_timeout`, \
                    half an hour by default. With these settings a delivery may wait that long.",
            steps: [
                "Lower the component's `timeout`, or the consumer's `prefetch`.",
                "Or raise `consumer_timeout` at the broker.",
            ],
            example: "warning[HIVE-0134]: `components.orders.timeout` is not shorter than what a broker waits for an answer by default",
        }
        WeakToken "0135" "an admin token that is too short" {
            means: "Whoever knows `host.admin_token` can replace the code of components. A short one can be guessed.",
            steps: ["Write a long random one, such as the output of `openssl rand -hex 32`, into a file or a variable."],
            example: "error[HIVE-0135]: `host.admin_token` has to be at least 16 letters, digits and signs, without spaces",
        }
        MisplacedKey "0136" "a key in the wrong table" {
            means: "The key exists, and belongs to another table than the one in which it is written. A key below \
                    a table header belongs to that table, whatever its indentation.",
            steps: ["Move the key to the table that the remedy names."],
            example: "error[HIVE-0136]: `consumers.orders.timeout` is not a known key",
        }
        BadExpression "0137" "a condition or a text that is not an expression of CEL" {
            means: "The text is not an expression of CEL, or it names a variable, a property or a function that \
                    expressions do not have, or it uses a value as a type that it never has.",
            steps: [
                "Correct it at the character that the message names.",
                "docs/routes.md lists the variables, their types and the functions.",
            ],
            example: "error[HIVE-0137]: `consumers.audit.routes[0].when` names \"hedaers\", which does not exist (at character 1)",
        }
        Unreachable "0138" "a route that no delivery reaches" {
            means: "A route before this one takes every delivery, or the condition of this one never holds. Hive \
                    reports it, since whoever wrote it expects an effect.",
            steps: [
                "Move the route before the one that takes every delivery, or correct the condition.",
                "Or remove the route.",
            ],
            example: "error[HIVE-0138]: `consumers.audit.routes[1]` is never reached: routes[0] takes every delivery",
        }
        BadSchema "0139" "a file that is not a JSON Schema" {
            means: "The file that `schema` of a consumer names cannot be read, is not JSON, is not a JSON Schema, or \
                    refers to a file that cannot be read. Nothing is fetched over a network.",
            steps: [
                "Correct the file; docs/contracts.md says which references are followed.",
                "A `pattern` has no look-ahead, look-behind and back-references, which could take exponential time.",
            ],
            example: "error[HIVE-0139]: `consumers.orders.schema.body` names a file that cannot be read: No such file or directory (os error 2)",
        }
    }

    "Broker" {
        BrokerUnreachable "0201" "the broker cannot be reached" {
            means: "No broker answers at the address, or the connection broke. A running host keeps trying by itself; \
                    no message is lost meanwhile.",
            steps: [
                "Check that the broker runs: `rabbitmq-diagnostics ping`.",
                "Check host and port of the `url`, and firewalls between: `nc -vz HOST PORT`.",
            ],
            example: "error[HIVE-0201]: connection \"main\": cannot reach localhost:5672: Connection refused (os error 111); check that the broker runs and that the url of [connections.main] leads to it",
        }
        FrameMaxTooSmall "0202" "a frame_max that the broker does not accept" {
            means: "RabbitMQ 4.1 and later close the connection without a word when a client asks for a frame_max \
                    below 8192 bytes.",
            steps: ["Remove `frame_max` from the query of the `url`, or write 8192 or more."],
            example: "error[HIVE-0202]: connection \"main\": cannot reach localhost:5672: connection reset; RabbitMQ 4.3.6 takes no frame_max below 8192, and the url asks for 4096",
        }
        LoginRefused "0203" "the broker refuses the user" {
            means: "User or password are wrong, or the user may not log in from this machine: RabbitMQ accepts \
                    `guest` from the broker's own machine only.",
            steps: [
                "Check user and password in the `url`; special characters are percent-encoded.",
                "Test them at the broker: `rabbitmqctl authenticate_user USER PASSWORD`.",
            ],
            example: "error[HIVE-0203]: connection \"main\": localhost:5672 refuses user \"shop\" on vhost \"/\": the broker says \"403 ACCESS_REFUSED - Login was refused\"",
        }
        VhostRefused "0204" "the virtual host does not exist or is closed to the user" {
            means: "The user is known, and the virtual host of the `url` does not exist, or the user has no rights \
                    there. Without a path the virtual host is \"/\".",
            steps: [
                "List them at the broker: `rabbitmqctl list_vhosts`.",
                "Give the user rights: `rabbitmqctl set_permissions -p VHOST USER '.*' '.*' '.*'`.",
            ],
            example: "error[HIVE-0204]: connection \"main\": localhost:5672 refuses user \"shop\" on vhost \"nope\": the broker says \"530 NOT_ALLOWED - vhost nope not found\"",
        }
        MechanismRefused "0205" "the broker does not know the way of logging in" {
            means: "The `url` asks for an `auth_mechanism` that the broker has not enabled, such as EXTERNAL for \
                    client certificates.",
            steps: [
                "Enable it at the broker: `auth_mechanisms` in rabbitmq.conf, and the plugin rabbitmq_auth_mechanism_ssl.",
                "Or remove `auth_mechanism` from the `url`.",
            ],
            example: "error[HIVE-0205]: connection \"main\": localhost:5671 refuses the user of the certificate in `tls.cert` on vhost \"/\": the broker says \"503 COMMAND_INVALID - unknown authentication mechanism 'EXTERNAL'\"",
        }
        CertificateExpired "0211" "a certificate is not valid now" {
            means: "The certificate of the broker or of Redis has expired, or is not valid yet. A wrong clock on \
                    either machine looks the same.",
            steps: [
                "Compare the date in the message with the clock of this machine.",
                "Renew the certificate.",
            ],
            example: "error[HIVE-0211]: connection \"main\": no TLS with rabbit:5671: the broker's certificate expired on 2020-01-01 at 00:00:00 UTC",
        }
        CertificateName "0212" "a certificate for another name" {
            means: "The server's certificate does not cover the host of the `url`. An address in the `url` needs a \
                    certificate that names the address.",
            steps: [
                "Write a host into the `url` that the certificate covers; the message lists its names.",
                "Or have the certificate issued for the host of the `url` too.",
            ],
            example: "error[HIVE-0212]: connection \"main\": no TLS with 10.0.0.5:5671: the broker's certificate is for \"rabbit\", not for \"10.0.0.5\"",
        }
        UnknownAuthority "0213" "a certificate of an unknown authority" {
            means: "The server's certificate is signed by an authority that is neither in `tls.ca` nor, without \
                    that key, among the authorities of the system.",
            steps: ["Set `tls.ca` of the connection to the PEM file of that authority."],
            example: "error[HIVE-0213]: connection \"main\": no TLS with rabbit:5671: the broker's certificate is signed by an authority that is not trusted",
        }
        CertificateUnusable "0214" "a certificate that is not for servers" {
            means: "The server's certificate cannot be accepted for another reason than its name, its date or its \
                    authority, such as a missing key usage.",
            steps: ["Have it issued with the extended key usage serverAuth."],
            example: "error[HIVE-0214]: connection \"main\": no TLS with rabbit:5671: the broker's certificate is not one for servers",
        }
        PortWithoutTls "0215" "TLS on a port without TLS" {
            means: "The `url` asks for TLS (amqps:// or rediss://), and the program at that port does not speak it. \
                    RabbitMQ has TLS on port 5671 by default, and none on 5672.",
            steps: ["Write the port for TLS, or the scheme without it."],
            example: "error[HIVE-0215]: connection \"main\": no TLS with localhost:5672: what answers there does not speak TLS, and the url is amqps://",
        }
        PortWithTls "0216" "no TLS on a port with TLS" {
            means: "The `url` begins with amqp://, and the broker speaks TLS at that port.",
            steps: ["Write amqps:// in the `url`, or the port without TLS."],
            example: "error[HIVE-0216]: connection \"main\": no TLS with localhost:5671: the port speaks TLS, and the url is amqp://",
        }
        NoCommonTls "0217" "no version of TLS in common" {
            means: "The host speaks TLS 1.2 and 1.3 with current ciphers, and the server offers none of them.",
            steps: ["Allow TLS 1.2 or 1.3 at the server: `ssl_options.versions` in rabbitmq.conf."],
            example: "error[HIVE-0217]: connection \"main\": no TLS with rabbit:5671: the broker and the host have no version or cipher of TLS in common",
        }
        ClientCertificateMissing "0218" "the server asks for a client certificate" {
            means: "The server ends the handshake because the host shows no certificate of its own.",
            steps: ["Set `tls.cert` and `tls.key` of the connection."],
            example: "error[HIVE-0218]: connection \"main\": no TLS with rabbit:5671: the broker asks for a client's certificate, and there is none",
        }
        ClientCertificateRefused "0219" "the server refuses the client certificate" {
            means: "The server does not accept the certificate in `tls.cert`: it has expired, is revoked, or is \
                    signed by an authority that the server does not trust. The server's log says more.",
            steps: [
                "Look at its dates and its issuer: `openssl x509 -in FILE -noout -dates -issuer`.",
                "Add its authority to `ssl_options.cacertfile` of the broker, or name another certificate.",
            ],
            example: "error[HIVE-0219]: connection \"main\": no TLS with rabbit:5671: the broker does not trust the authority that signed the client's certificate",
        }
        ArgumentsDiffer "0221" "an entity exists with other arguments (406)" {
            means: "The broker has an exchange or a queue of this name, declared in another way than hive.toml says. \
                    AMQP does not change an existing entity, and Hive never deletes one. Its consumers wait; others \
                    consume.",
            steps: [
                "Compare: `hive-host check --broker hive.toml` lists every difference.",
                "Change hive.toml to what the broker has; or remove the table, or set `passive = true` in it, and Hive uses the entity as it is.",
                "Or delete the entity and let Hive declare it. Deleting a queue loses its messages, so move them to another queue first.",
            ],
            example: "error[HIVE-0221]: connection \"main\": queue \"orders\" (quorum, durable): the broker says \"406 PRECONDITION_FAILED - inequivalent arg 'x-queue-type'\"",
        }
        NoRight "0222" "the user lacks a right (403)" {
            means: "The user of the connection may log in, and may not configure, write to or read this entity.",
            steps: [
                "List the rights: `rabbitmqctl list_user_permissions USER`.",
                "Extend them: `rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ`; delay and dead-letter queues begin with the name of their queue.",
            ],
            example: "error[HIVE-0222]: connection \"main\": queue \"orders\" (quorum, durable): the broker says \"403 ACCESS_REFUSED - configure access to queue 'orders' in vhost '/' refused\"",
        }
        EntityMissing "0223" "an entity does not exist (404)" {
            means: "The broker does not have a queue or an exchange that is used and not declared: a `passive` one, \
                    the queue of a consumer that hive.toml does not declare, or the exchange of a binding.",
            steps: [
                "Declare it in hive.toml under [queues.NAME] or [exchanges.NAME], without `passive`.",
                "Or create it at the broker; a running host notices by itself.",
            ],
            example: "error[HIVE-0223]: connection \"main\": queue \"orders\" of consumer \"orders\": the broker says \"404 NOT_FOUND - no queue 'orders' in vhost '/'\"",
        }
        EntityLocked "0224" "a queue belongs to another connection (405)" {
            means: "The queue is exclusive, and another connection owns it. It disappears with that connection.",
            steps: ["Stop the other program, or use a queue that is not exclusive."],
            example: "error[HIVE-0224]: connection \"main\": queue \"orders\" (classic, exclusive): the broker says \"405 RESOURCE_LOCKED - cannot obtain exclusive access\"",
        }
        BrokerBrokeOff "0225" "the broker ends the connection over an entity (541)" {
            means: "The broker fails over this entity, or refuses it on principle: a deprecated feature that is \
                    switched off, a feature flag that is missing, a queue without a leader. It ends the whole \
                    connection, so Hive leaves the entity out and tries it on a separate one.",
            steps: [
                "Read the broker's log at that moment.",
                "Check the cluster: `rabbitmq-diagnostics check_if_any_deprecated_features_are_used`, `rabbitmqctl list_feature_flags`, `rabbitmq-queues quorum_status QUEUE`.",
            ],
            example: "error[HIVE-0225]: connection \"main\": queue \"orders\" (classic): the broker says \"541 INTERNAL_ERROR\"; the broker ends the connection over it, so it is left out",
        }
        DeclarationRefused "0226" "the broker refuses a declaration" {
            means: "The broker does not accept the declaration for another reason than rights or an existing entity, \
                    such as an argument or a type of exchange that it does not know.",
            steps: ["Read the broker's words in the message; enable the plugin of the exchange type if one is meant."],
            example: "error[HIVE-0226]: connection \"main\": exchange \"orders\" (x-delayed-message): the broker says \"503 COMMAND_INVALID - unknown exchange type 'x-delayed-message'\"",
        }
        NameTooLong "0227" "a name is too long for AMQP" {
            means: "A name that follows from hive.toml, such as that of a delay queue, has more than 255 bytes.",
            steps: ["Shorten the name of the queue that it is made from."],
            example: "error[HIVE-0227]: connection \"main\": the name \"orders…\": the broker says \"longer than 255 bytes\"; choose a shorter name",
        }
        QueueDiffers "0228" "a queue has another delivery limit or no dead-letter exchange" {
            means: "The queue exists with another delivery limit than Hive would give it, or the broker would drop \
                    messages at that limit for good. Hive consumes from it as it is, so this is a warning.",
            steps: ["Run the command that the message names: it sets a policy, without touching the messages."],
            example: "warning[HIVE-0228]: connection \"main\": queue \"orders\" exists without x-delivery-limit: RabbitMQ 4.3.6 drops a message that came back more than 20 times",
        }
    }

    "Component" {
        NotBuilt "0301" "the file of a component does not exist yet" {
            means: "The component has a `build` command in hive.toml, and the file of its `path` does not exist. \
                    `run` and `check` do not build; `dev` does.",
            steps: ["Run the command that the message names, in the folder of hive.toml; or use `hive-host dev`."],
            example: "error[HIVE-0301]: component \"orders\" (orders.wasm): there is no such file yet; build it with `cargo build`",
        }
        ComponentUnreadable "0302" "the file of a component cannot be read" {
            means: "The file of `path` does not exist, or the user of the process may not read it. A relative path \
                    starts at hive.toml.",
            steps: ["Check the path and the rights of the file."],
            example: "error[HIVE-0302]: component \"orders\" (orders.wasm): the file cannot be read: No such file or directory (os error 2)",
        }
        NotWebAssembly "0303" "the file is not WebAssembly" {
            means: "The file is empty, or does not begin as WebAssembly does. An interrupted build or copy leaves \
                    such files behind.",
            steps: ["Build the component again, and check that `path` names the result: `file FILE`."],
            example: "error[HIVE-0303]: component \"orders\" (orders.wasm): it is not WebAssembly: it does not begin with \\0asm",
        }
        CoreModule "0304" "the file is a core module, not a component" {
            means: "WebAssembly has two formats. A core module, as toolchains make it for wasm32-unknown-unknown or \
                    wasm32-wasip1, has no interfaces with types, and Hive cannot call it.",
            steps: [
                "Rust: build with `--target wasm32-wasip2`.",
                "Other languages: see docs/languages.md, or wrap the module with `wasm-tools component new`.",
            ],
            example: "error[HIVE-0304]: component \"orders\" (orders.wasm): it is a core WebAssembly module, not a component",
        }
        WrongSum "0305" "the file has another checksum" {
            means: "`sha256` of the component names the only content that may run, and the file has another one.",
            steps: ["Deploy the version that is meant, or write the sum of this one (`sha256sum FILE`)."],
            example: "error[HIVE-0305]: component \"orders\" (orders.wasm): its SHA-256 is 9f…, and `sha256` wants 3a…",
        }
        NoHandler "0306" "the component exports no handler" {
            means: "A consumer exports hive:consumer/handler or hive:consumer/batch-handler. This component exports \
                    neither, so it was probably built for something else, such as a command or an HTTP server.",
            steps: [
                "Build it against the package hive:consumer; `hive-host new NAME --lang LANGUAGE` makes a project that does.",
                "Look at its exports: `wasm-tools component wit FILE`.",
            ],
            example: "error[HIVE-0306]: component \"orders\" (orders.wasm): it exports no hive:consumer/handler@0.1.x and no hive:consumer/batch-handler@0.1.x, so it is not a consumer",
        }
        OtherContract "0307" "the component was built for another version of the contract" {
            means: "The component exports a handler of a version of hive:consumer that this host does not speak.",
            steps: ["Build it with the SDK of this host's version, or run a host that speaks its version."],
            example: "error[HIVE-0307]: component \"orders\" (orders.wasm): it exports \"hive:consumer/handler@0.2.0\", but this host speaks hive:consumer/handler@0.1.x",
        }
        UnknownImport "0308" "the component imports something that the host does not have" {
            means: "The component needs an interface that Hive does not offer. Interfaces that Hive has and that are \
                    not granted do not count: they link, and are denied when they are called.",
            steps: [
                "Find the library that needs it: `wasm-tools component wit FILE`.",
                "Build without that library or feature; docs/sandbox.md lists what the host offers.",
            ],
            example: "error[HIVE-0308]: component \"orders\" (orders.wasm): it imports \"acme:billing/rates@1.0.0\" (for \"rate\"), which the host does not have",
        }
        OtherEngine "0309" "native code that this host does not run" {
            means: "The file was compiled ahead, and holds for one version of hive-host and one kind of processor; \
                    the message names both, and this host. Native code is never taken over the network, and only \
                    from `hive-host compile`.",
            steps: [
                "Compile it again with the hive-host that runs it: `hive-host compile FILE.wasm`.",
                "For machines of several kinds, compile for the oldest processor: `--cpu x86-64-v2`.",
                "Or name, or send, the .wasm: the host compiles it at its start.",
            ],
            example: "error[HIVE-0309]: component \"orders\" (orders.cwasm): it was compiled ahead for hive-host 0.0.9 (wasmtime 47.0.1) on x86_64-linux, and this is hive-host 0.1.0 (wasmtime 48.0.8) on x86_64-linux",
        }
        HandlerMismatch "0310" "the component lacks the handler that its consumer needs" {
            means: "A consumer with `batch` calls hive:consumer/batch-handler, one without calls \
                    hive:consumer/handler. The component exports only the other one.",
            steps: ["Export the one that the message names, or add or remove `batch` of the consumer."],
            example: "error[HIVE-0310]: component \"orders\" (orders.wasm): its consumer \"orders\" has a `batch`, but it exports no hive:consumer/batch-handler",
        }
        DoesNotCompile "0311" "the component does not compile" {
            means: "The file is a component, and the engine refuses it: it is damaged, uses a proposal of \
                    WebAssembly that is not enabled, or does not fit the interfaces that it imports.",
            steps: [
                "Validate it: `wasm-tools validate --features all FILE`.",
                "Build it again with the current tools of its language.",
            ],
            example: "error[HIVE-0311]: component \"orders\" (orders.wasm): its functions are async; build it with synchronous exports",
        }
        DoesNotStart "0312" "an instance of the component does not start" {
            means: "The component compiles, and its first instance fails: its start code or `lifecycle.start` traps, \
                    returns an error or runs too long, or the instance needs more memory than it may have.",
            steps: [
                "Read the error at the end of the message; it is the component's own.",
                "Try it by itself: `hive-host invoke FILE`.",
                "Raise `memory` of the component if it needs more.",
            ],
            example: "error[HIVE-0312]: component \"orders\" (orders.wasm): an instance of it does not start: no price list",
        }
        HostFailed "0313" "the host failed over the component" {
            means: "The computation that reads and compiles the component ended without a result. This is an error \
                    of the host, or the host is stopping.",
            steps: ["Run the command again; if it happens again, report it with the component."],
            example: "error[HIVE-0313]: component \"orders\" (orders.wasm): the host failed over it: task was cancelled",
        }
        UntrustedCode "0314" "native code that others can change" {
            means: "A .cwasm file is native code: it runs outside of the sandbox, as a part of the host. So the file, \
                    and each folder on the way to it, must belong to root or to the user of the host, and neither \
                    its group nor everybody may write to it. A folder with the sticky bit, such as /tmp, may be \
                    shared.",
            steps: [
                "Take the rights away, as the message says: `chmod go-w FILE`, `chown USER FILE`.",
                "Or name the .wasm: WebAssembly needs no such trust.",
            ],
            example: "error[HIVE-0314]: component \"orders\" (orders.cwasm): it is native code, which only root and the user of the host may be able to change: /srv/orders.cwasm can be written by its group or by everybody (mode 0666; `chmod go-w` it)",
        }
        DamagedCode "0315" "native code that is damaged" {
            means: "The .cwasm file does not have the content that `hive-host compile` wrote. It was cut off, \
                    copied as text, or changed.",
            steps: ["Copy the file again, or compile it again: `hive-host compile FILE.wasm`."],
            example: "error[HIVE-0315]: component \"orders\" (orders.cwasm): it is damaged: its content does not have the checksum that it had when it was made",
        }
    }

    "Delivery" {
        ComponentError "0401" "the component returned an error" {
            means: "The handler returned an error of its own. The delivery is retried as `retry` says, and then \
                    dead-lettered.",
            steps: [
                "Read the field `error`, and the component's log lines of that delivery.",
                "Replay it: `hive-host dead show` prints the message, `hive-host invoke` hands it to the component.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"retried\",\"class\":\"error\",\"code\":\"HIVE-0401\",\"error\":\"no price of teapot\"}",
        }
        Trapped "0402" "the component trapped" {
            means: "The instance hit a panic, an `unreachable`, or an access outside of its memory. The host discards \
                    the instance; other deliveries are not affected. The delivery is retried.",
            steps: [
                "Read the field `error`: it has the panic and the innermost functions.",
                "Keep names in the build (`strip = false`) so that functions are named.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"dead_lettered\",\"class\":\"trap\",\"code\":\"HIVE-0402\",\"error\":\"panicked at src/lib.rs:12\"}",
        }
        TimedOut "0403" "the call ran too long" {
            means: "The call took longer than `timeout` of the component, or than the broker's `consumer_timeout`. \
                    The host ends the call and discards the instance.",
            steps: [
                "Find out what it waits for: outgoing HTTP has no timeout of its own.",
                "Raise `timeout` of the component if the work is that long.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"retried\",\"class\":\"timeout\",\"code\":\"HIVE-0403\",\"error\":\"the call ran longer than its timeout of 30s\"}",
        }
        OverLimit "0404" "the component hit a limit" {
            means: "The instance asked for more memory than `memory`, answered with more than `max_answer`, or with \
                    more publications than `max_publications`.",
            steps: [
                "Compare with the metrics of memory in docs/operations.md.",
                "Raise the limit that the field `error` names, or make the component need less.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"retried\",\"class\":\"limit\",\"code\":\"HIVE-0404\",\"error\":\"it needs more memory than its 64 MiB\"}",
        }
        NotPublished "0405" "a publication was not possible" {
            means: "The component published to an exchange and routing key that `allow.publish` does not allow, that \
                    no queue is bound to, or that the broker refuses. Nothing of that answer is published twice.",
            steps: [
                "Compare exchange and routing key in the field `error` with `allow.publish` and the bindings.",
                "Set `mandatory` to false in the publication if it may go to no queue.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"retried\",\"class\":\"publish\",\"code\":\"HIVE-0405\",\"error\":\"no queue takes exchange \\\"\\\" with routing key \\\"orders.pricd\\\"\"}",
        }
        Rejected "0406" "the component rejected the message" {
            means: "The handler answered `reject`: the message can never be handled. It is dead-lettered at once, \
                    without a retry. Of a consumer with `routes`: a route rejects it, no route holds, or an expression \
                    has no value for this message.",
            steps: [
                "Read the reason; correct the publisher, or the message with `hive-host dead show`.",
                "If the reason begins with `routes[N]`, correct that route, reload, and replay the dead letters.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"dead_lettered\",\"class\":\"rejected\",\"code\":\"HIVE-0406\",\"error\":\"no order\"}",
        }
        RetryAsked "0407" "the component asked for a retry" {
            means: "The handler answered `retry`: what it needs is not there yet. Each such answer spends one retry; \
                    after `retry.limit` of them the message is dead-lettered.",
            steps: [
                "Read the reason: something outside of the component is missing.",
                "Raise `retry.limit` or the delays if it takes longer to appear.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"retried\",\"class\":\"retry\",\"code\":\"HIVE-0407\",\"error\":\"there is no price of teapot yet\"}",
        }
        HostCrashed "0408" "the host died several times over this message" {
            means: "The whole process ended while it handled this message alone, more than once: out of memory, a \
                    crash of native code. The message is dead-lettered so that others can be handled.",
            steps: [
                "Look for the cause in the system's log (`dmesg` for out of memory).",
                "Lower `memory` of the component or `concurrency`, so that all instances fit into the machine.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"dead_lettered\",\"class\":\"crash\",\"code\":\"HIVE-0408\",\"error\":\"the host died 3 times\"}",
        }
        Unmatched "0409" "the message does not match the schema of its consumer" {
            means: "The body is not what `schema.body` of the consumer asks for, or it is compressed and cannot be \
                    decoded. No instance was called. It is dead-lettered at once, without a retry.",
            steps: [
                "Read the reason: it names the place in the body and the rule.",
                "Correct the publisher; or correct the schema, reload, and replay the dead letters.",
            ],
            example: "{\"event\":\"delivery.settled\",\"outcome\":\"dead_lettered\",\"class\":\"schema\",\"code\":\"HIVE-0409\",\"error\":\"the body does not match its schema: /id: the value is not of type \\\"integer\\\" (rule /properties/id/type)\"}",
        }
        HttpDenied "0411" "outgoing HTTP was denied" {
            means: "The component sent a request to a host that its `allow.http` does not list. The component got an \
                    error; nothing was sent.",
            steps: ["Add the host to `allow.http` of the component if it may speak to it."],
            example: "{\"event\":\"component.denied\",\"capability\":\"http\",\"code\":\"HIVE-0411\"}",
        }
        FilesDenied "0412" "access to a file was denied" {
            means: "The component tried to use a file outside of its directories, or to write into one that it may \
                    only read.",
            steps: ["Add the directory to `allow.dirs`, with `write = true` if it may write there."],
            example: "{\"event\":\"component.denied\",\"capability\":\"dirs\",\"code\":\"HIVE-0412\"}",
        }
        KeyValueDenied "0413" "access to a bucket was denied" {
            means: "The component opened a bucket that its `allow.keyvalue` does not list.",
            steps: ["Add the bucket to `allow.keyvalue` of the component, or correct its name in the code."],
            example: "{\"event\":\"component.denied\",\"capability\":\"keyvalue\",\"code\":\"HIVE-0413\"}",
        }
        SocketDenied "0414" "a socket was denied" {
            means: "The component tried to open a socket or to look up a name. Components have no raw sockets: a \
                    socket does not say to whom it speaks.",
            steps: ["Use outgoing HTTP (wasi:http) with `allow.http`."],
            example: "{\"event\":\"component.denied\",\"capability\":\"sockets\",\"code\":\"HIVE-0414\"}",
        }
        ContainerDenied "0415" "access to a container of objects was denied" {
            means: "The component opened a container of `wasi:blobstore` that its `allow.blobstore` does not have, or asked \
                    the host to make or delete one. Containers are made by an operator.",
            steps: [
                "Add the container to `allow.blobstore` of the component with the URL of its bucket, or correct its name in \
                 the code.",
            ],
            example: "{\"event\":\"component.denied\",\"capability\":\"blobstore\",\"code\":\"HIVE-0415\"}",
        }
        ObjectsAway "0416" "an object store carries out no requests" {
            means: "The bucket or directory of a container is unreachable, too slow, full or missing, or it refuses the \
                    host's credentials. Deliveries whose call fails of it are kept in the host, unacknowledged, and \
                    tried again; no retry is spent.",
            steps: [
                "Read `error` of the event `objects.away`: it has the store's own words.",
                "Check the bucket's name, its rights and its endpoint, and the variables with the credentials \
                 (docs/object-stores.md).",
            ],
            example: "{\"event\":\"objects.away\",\"container\":\"tracks\",\"code\":\"HIVE-0416\"}",
        }
        ObjectsUnusable "0417" "an object store cannot be used" {
            means: "The URL of a container has the right form, but the host cannot use it: a variable with credentials or \
                    an endpoint has a value that cannot be read.",
            steps: ["Correct the variable that the error names; docs/object-stores.md lists them."],
            example: "error[HIVE-0417]: the container \"tracks\" (s3://bucket/frequency) cannot be used: …",
        }
        RequestDenied "0418" "a request over the broker was denied" {
            means: "The component called another over the broker, and its `allow.request` does not name the exchange \
                    and the routing key.",
            steps: ["Add EXCHANGE:ROUTING-KEY to `allow.request` of the component, or correct the call in its code."],
            example: "{\"event\":\"component.denied\",\"capability\":\"request\",\"code\":\"HIVE-0418\"}",
        }
    }

    "Host and command line" {
        AdminPortTaken "0501" "the admin server cannot listen" {
            means: "The address of `host.admin` is in use, often by another host on this machine, or does not belong \
                    to this machine. Without `host.admin` this is a warning, and the host runs without health and \
                    metrics.",
            steps: [
                "Find out who listens there: `ss -ltnp`.",
                "Choose another port in `host.admin`, 0 for any free one, or \"off\".",
            ],
            example: "error[HIVE-0501]: the admin server cannot listen on 127.0.0.1:9464: Address already in use (os error 98); change `host.admin`",
        }
        NoAnswer "0502" "no host answers at the address" {
            means: "The command asked the admin server of hive.toml, and nothing answered, or something else than a \
                    host of Hive.",
            steps: [
                "Check that the host runs, and that its log has `the admin server listens` with this address.",
                "Give the address with `--admin` if it runs elsewhere.",
            ],
            example: "error[HIVE-0502]: no host answers at 127.0.0.1:9464: io: Connection refused; is it running, and is that its `host.admin`?",
        }
        NoHostFound "0503" "no running host of this file was found" {
            means: "`host.admin` names port 0, so the running host wrote its port into a file of its user, and there \
                    is none. A host of another user or in a container is not found this way.",
            steps: ["Start the host, or give the address from its log with `--admin`."],
            example: "error[HIVE-0503]: no host of hive.toml runs here for this user; if it runs elsewhere, name the address in its log with --admin",
        }
        AdminOff "0504" "the running host takes no commands" {
            means: "`host.admin` is \"off\" in the file, so the host has no admin server.",
            steps: ["Name an address in `host.admin`, and restart the host."],
            example: "error[HIVE-0504]: `host.admin` is \"off\" in hive.toml, so the running host takes no commands",
        }
        WrongHost "0505" "another host answers at the address (409)" {
            means: "The host that listens there runs another hive.toml than the one of the command, so the command \
                    was not carried out. Two hosts on one machine with the same `host.admin` are the usual cause.",
            steps: [
                "Name the hive.toml of the host that is meant.",
                "Give each host a `host.admin` of its own.",
            ],
            example: "error[HIVE-0505]: this is the host \"a\" of /srv/a/hive.toml, and the command is for the host \"b\" of /srv/b/hive.toml; is that one running?",
        }
        TokenRefused "0506" "the admin token is missing or wrong (401)" {
            means: "The running host has a `host.admin_token`, and the command sent none or another one: that of \
                    `host.admin_viewer_token` only reads (403). Or something was to be read that needs one of the two. \
                    The host reads the tokens at its start: after a change it needs a restart.",
            steps: ["Use the hive.toml with which the host runs, with the same file or variable of the token."],
            example: "error[HIVE-0506]: commands need the token of `host.admin_token`, as `Authorization: Bearer TOKEN`",
        }
        LoopbackOnly "0507" "commands are accepted from this machine only (403)" {
            means: "Without a `host.admin_token` the admin server accepts commands on a loopback address, under its \
                    own name, only, and shows messages and the audit there only. A request that a proxy hands on is not \
                    one of this machine.",
            steps: ["Set `host.admin_token`, and restart the host; or run the command on its machine."],
            example: "error[HIVE-0507]: commands are taken on a loopback address alone unless `host.admin_token` is set",
        }
        UnknownAtHost "0508" "the running host has no such consumer or component (404)" {
            means: "The command names a consumer or component that the running host does not have. The file may have \
                    changed since the host read it.",
            steps: ["Compare with `hive-host status hive.toml`; run `hive-host reload hive.toml` after a change."],
            example: "error[HIVE-0508]: there is no component \"oders\"",
        }
        BrokerPortTaken "0509" "the broker in the process cannot listen" {
            means: "`hive-host broker` or `dev` could not listen on its port; a RabbitMQ on this machine usually has \
                    port 5672.",
            steps: ["Choose another one with `--port`, 0 for any free one; or use the broker that runs there."],
            example: "error[HIVE-0509]: the broker cannot listen on 127.0.0.1:5672: Address already in use (os error 98); choose another port with --port",
        }
        StoreInUse "0511" "the file of the store is in use" {
            means: "Another process has the file of `store.path` open. The embedded store belongs to one host.",
            steps: ["Stop the other host, name another file, or share a store with `kind = \"redis\"`."],
            example: "error[HIVE-0511]: the store hive.db (`store.path`) is in use by another process",
        }
        NotAStore "0512" "the file of the store is something else" {
            means: "The file of `store.path` exists and was not made by a store of Hive, or by a newer version.",
            steps: ["Name another file, or move this one away."],
            example: "error[HIVE-0512]: hive.db (`store.path`) is not a store of this host: it is no database",
        }
        StoreUnopened "0513" "the file of the store cannot be opened" {
            means: "The operating system refuses to open or create the file of `store.path`.",
            steps: ["Check the folder and its rights for the user of the process, and the space on the disk."],
            example: "error[HIVE-0513]: the store /var/lib/hive/hive.db (`store.path`) cannot be opened: Permission denied (os error 13)",
        }
        StoreAway "0514" "Redis does not answer" {
            means: "The server of `store.url` cannot be reached. Deliveries that need the store wait, and are then \
                    requeued without spending a retry; the host keeps trying.",
            steps: [
                "Check the server: `redis-cli -u URL ping`.",
                "Check host and port of `store.url`, and firewalls between.",
            ],
            example: "error[HIVE-0514]: the store at localhost:6379 (`store.url`) does not answer: Connection refused (os error 111)",
        }
        StoreUnusable "0515" "Redis refuses the host" {
            means: "The server of `store.url` answers, and user, password, rights, database or TLS are wrong.",
            steps: ["Read the server's words at the end of the message; they name what is missing."],
            example: "error[HIVE-0515]: the store at localhost:6379 (`store.url`) cannot be used: NOAUTH Authentication required",
        }
    }

    "HTTP in" {
        HttpPortTaken "0601" "the address for requests cannot be listened on" {
            means: "The address of `http.listen` is in use, or does not belong to this machine.",
            steps: [
                "Find out who listens there: `ss -ltnp`.",
                "Choose another address or port in `http.listen`.",
            ],
            example: "error[HIVE-0601]: requests cannot be taken on 0.0.0.0:8080: Address already in use (os error 98); change `http.listen`",
        }
        HttpRequest "0602" "a request is malformed (400)" {
            means: "The path, the idempotency key or a value for the routing key or a header of the message cannot be \
                    used, or the request lacks a value that the route needs.",
            steps: ["The error says which; correct the client, or the text of the route in hive.toml."],
            example: "{\"error\":\"the path has an encoded slash\",\"code\":\"HIVE-0602\"}",
        }
        HttpBody "0603" "the body is not what its content type says (400)" {
            means: "The body is no JSON or no form, or it ended before its length.",
            steps: ["Correct the client; for JSON the error has line and column."],
            example: "{\"error\":\"the body is not JSON: expected value at line 1 column 9\",\"code\":\"HIVE-0603\"}",
        }
        HttpToken "0604" "the token of a route is missing or wrong (401)" {
            means: "The route has a `token`, and the request sent none or another one.",
            steps: ["Send the token as `Authorization: Bearer TOKEN`."],
            example: "{\"error\":\"this route needs its token, as `Authorization: Bearer TOKEN`\",\"code\":\"HIVE-0604\"}",
        }
        HttpNoRoute "0605" "no route takes the request (404, 405)" {
            means: "`http.routes` has no route with this path (404), or none with this method (405).",
            steps: ["Correct method and path of the client, or add the route to hive.toml and reload."],
            example: "{\"error\":\"there is no route with this path\",\"code\":\"HIVE-0605\"}",
        }
        HttpSlow "0606" "a body did not arrive in time (408)" {
            means: "The client did not send the whole body within `http.timeout`. Nothing was published.",
            steps: ["Send the request again, or raise `http.timeout` for slow clients."],
            example: "{\"error\":\"the body did not arrive within 30s\",\"code\":\"HIVE-0606\"}",
        }
        HttpTooLarge "0607" "a body is too large (413)" {
            means: "The body is larger than `max_body` of the route, or a form has too many fields.",
            steps: ["Send less in one request, or raise `max_body` of the route."],
            example: "{\"error\":\"the body is larger than 1048576 bytes\",\"code\":\"HIVE-0607\"}",
        }
        HttpMediaType "0608" "a content type that the route does not take (415)" {
            means: "`accept` of the route does not list this kind of body, or the body of a JSON or a form is \
                    compressed.",
            steps: ["Send another `Content-Type`, or add its kind to `accept` of the route."],
            example: "{\"error\":\"this route takes json, and not text/plain\",\"code\":\"HIVE-0608\"}",
        }
        HttpUnroutable "0609" "no queue takes the message (422)" {
            means: "The exchange of the route has no binding for the routing key, or the default exchange has no queue \
                    of that name. The message is not stored.",
            steps: ["Bind a queue for the routing key, or correct `exchange` and `routing_key` of the route."],
            example: "{\"error\":\"no queue takes the message\",\"code\":\"HIVE-0609\"}",
        }
        HttpRate "0610" "too many requests (429)" {
            means: "The route has a `rate`, and more requests came. Nothing was published.",
            steps: ["Send the request again after the seconds of `Retry-After`, or raise `rate`."],
            example: "{\"error\":\"too many requests\",\"code\":\"HIVE-0610\"}",
        }
        HttpRefused "0611" "the broker refuses the message (500)" {
            means: "The exchange of the route does not exist, the user of the connection may not publish to it, or the \
                    message is larger than the broker allows. The message is not stored.",
            steps: [
                "Read the broker's words in the event `http.refused_by_broker` of the log.",
                "Declare the exchange, correct the rights, or lower `max_body` of the route.",
            ],
            example: "{\"error\":\"the broker refuses the message\",\"code\":\"HIVE-0611\"}",
        }
        HttpBrokerAway "0612" "the broker takes no messages now (503)" {
            means: "There is no connection to the broker, the broker has blocked it for lack of memory or disk, or the host \
                    has connected and not declared its queues and exchanges yet. Nothing was stored.",
            steps: [
                "Send the request again after the seconds of `Retry-After`.",
                "Look at `hive-host status` for the reason.",
            ],
            example: "{\"error\":\"the broker takes no messages at the moment\",\"code\":\"HIVE-0612\"}",
        }
        HttpUnconfirmed "0613" "the broker did not confirm the message (503)" {
            means: "The message was sent to the broker, and no confirmation came within `http.timeout`, or the broker \
                    refused to store it. It may be stored all the same.",
            steps: ["Send the request again with the same `Idempotency-Key`, so that consumers recognise a repeat."],
            example: "{\"error\":\"the broker did not confirm the message in time; it may be stored\",\"code\":\"HIVE-0613\"}",
        }
        HttpBusy "0614" "the host takes no requests now (503)" {
            means: "The host starts or stops, or the bodies of the requests in it take `http.memory_in_flight`. \
                    Nothing was published.",
            steps: ["Send the request again after the seconds of `Retry-After`."],
            example: "{\"error\":\"the host is stopping\",\"code\":\"HIVE-0614\"}",
        }
        HttpRejected "0615" "the component rejects the request (400)" {
            means: "The component of the route answered the request with a rejection, whose reason is the error. Nothing \
                    was published.",
            steps: ["Correct the client: the same request is rejected again."],
            example: "{\"error\":\"a track without an artist\",\"code\":\"HIVE-0615\"}",
        }
        HttpNotNow "0616" "the component takes the request later (503)" {
            means: "The component of the route answered the request with a retry, whose reason is the error. Nothing was \
                    published.",
            steps: ["Send the request again after the seconds of `Retry-After`."],
            example: "{\"error\":\"the catalogue is being renewed\",\"code\":\"HIVE-0616\"}",
        }
        HttpFailed "0617" "the component failed over the request (500, 504)" {
            means: "The component of the route returned an error, trapped, exceeded a limit (500) or its `timeout` (504), or \
                    answered with a publication that cannot be published. Nothing is known to be published.",
            steps: [
                "Read the reason in the event `http.component_failed` of the log, which has the id of the request.",
                "Correct the component, or raise the limit that the reason names.",
            ],
            example: "{\"error\":\"the request could not be handled\",\"code\":\"HIVE-0617\"}",
        }
    }

    "Schedules" {
        ScheduleUnpublished "0701" "the message of a schedule is not published" {
            means: "No queue takes the message of a schedule, or the broker refuses it: the exchange or a binding is \
                    missing, or the user may not publish there. The host tries again, and no firing is lost.",
            steps: [
                "Declare the exchange and bind a queue for the routing key, or correct `publish` of the schedule.",
                "A `reload` takes a correction over.",
            ],
            example: "error[HIVE-0701]: schedule \"nightly\" did not fire: no queue takes it (312 NO_ROUTE)",
        }
        NoSuchSchedule "0702" "there is no such schedule" {
            means: "The command names a schedule that hive.toml does not have.",
            steps: ["Use one of the names that the error lists, or add the schedule."],
            example: "error[HIVE-0702]: there is no schedule \"nightyl\": did you mean \"nightly\"?",
        }
    }
}
