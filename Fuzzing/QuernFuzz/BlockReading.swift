// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// Reads all that a block of children offers.
enum BlockReading {
    @discardableResult
    static func readAll(_ block: ChildBlock, _ columns: ChildColumns) -> Int {
        var sum = 0
        for index in 0..<block.count {
            sum &+= Int(block.kind(at: index).rawValue) &+ Int(block.label(at: index).rawValue)
            if columns.contains(.facts) {
                sum &+= Int(truncatingIfNeeded: block.id(at: index).rawValue) &+ Int(block.attempts(at: index))
            }
            if columns.contains(.attachments) { sum &+= block.withAttachment(at: index) { total($0) } }
            if columns.contains(.all) { sum &+= block.withValue(at: index) { total($0) } }
        }
        return sum
    }

    private static func total(_ span: RawSpan) -> Int {
        span.withUnsafeBytes { $0.reduce(0) { $0 &+ Int($1) } }
    }
}
