// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension TaskAttributes {
    /// The bytes for the store; none for nothing.
    ///
    /// - Throws: `invalidOptions` when they are more than the store takes.
    func encoded() throws(SchedulerError) -> [UInt8] {
        if self == TaskAttributes() { return [] }
        var writer = ByteWriter()
        if !tags.isEmpty { field(Tag.tags, &writer) { for tag in tags { $0.append(text: tag) } } }
        if let group { field(Tag.group, &writer) { $0.append(contentsOf: group.utf8) } }
        if !traceContext.isEmpty {
            field(Tag.traceContext, &writer) {
                for entry in traceContext {
                    $0.append(text: entry.name)
                    $0.append(text: entry.value)
                }
            }
        }
        if case .at(let time)? = start {
            field(Tag.notBefore, &writer) { $0.append(littleEndian: time.rawValue) }
        }
        if let scheduledFor {
            field(Tag.scheduledFor, &writer) { $0.append(littleEndian: scheduledFor.rawValue) }
        }
        if case .after(let delay)? = start {
            field(Tag.delay, &writer) { $0.append(variable: delay.wholeMilliseconds) }
        }
        if let expectedIO {
            field(Tag.expectedIO, &writer) {
                $0.append(variable: expectedIO.readBytes)
                $0.append(variable: expectedIO.writeBytes)
            }
        }
        if let timeToLive {
            field(Tag.timeToLive, &writer) {
                $0.append(timeToLive.basis.rawValue)
                $0.append(variable: timeToLive.duration.wholeMilliseconds)
            }
        }
        if !dependencies.isEmpty {
            field(Tag.dependencies, &writer) {
                $0.append(policies)
                for dependency in dependencies {
                    $0.append(variable: dependency.task.rawValue)
                    $0.append(variable: dependency.parent.rawValue)
                }
            }
        }
        if let redrives {
            field(Tag.redrives, &writer) {
                $0.append(variable: redrives.task.rawValue)
                $0.append(variable: redrives.parent.rawValue)
                $0.append(variable: redrives.sequence)
            }
        }
        if kept > 0 { field(Tag.kept, &writer) { $0.append(variable: kept) } }
        if let retry { field(Tag.retry, &writer) { retry.encode(into: &$0) } }
        if !backward.isEmpty {
            field(Tag.backward, &writer) {
                $0.append(policies)
                for distance in backward { $0.append(variable: distance) }
            }
        }
        guard writer.count <= Limits.attributeBytes else {
            throw SchedulerError(
                .invalidOptions, "options of \(writer.count) bytes; the limit is \(Limits.attributeBytes)")
        }
        return writer.bytes
    }

    private var policies: UInt8 { onDependencyFailure.rawValue | (onDependencyCancel?.rawValue ?? 0) << 4 }

    private func field(_ tag: UInt64, _ writer: inout ByteWriter, _ body: (inout ByteWriter) -> Void) {
        var value = ByteWriter()
        body(&value)
        writer.append(variable: tag)
        writer.append(variable: UInt64(value.count))
        writer.append(contentsOf: value.bytes)
    }
}

extension RetryPolicy {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.append(variable: UInt64(maximumAttempts))
        writer.append(variable: min(firstDelay, Self.longestDelay).nanoseconds)
        writer.append(variable: min(cap, Self.longestDelay).nanoseconds)
        writer.append(littleEndian: jitter.bitPattern)
        var factor = 1.0
        switch growth {
        case .constant: writer.append(1)
        case .linear: writer.append(2)
        case .exponential(let growing):
            writer.append(3)
            factor = growing
        }
        writer.append(littleEndian: factor.bitPattern)
    }
}

extension ByteWriter {
    fileprivate mutating func append(text: String) {
        append(variable: UInt64(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}
