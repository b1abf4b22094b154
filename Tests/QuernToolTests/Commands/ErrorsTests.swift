// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import QuernStore
@testable import QuernTool

@Suite("quern errors")
struct ErrorsTests {
    @Test("Failures are grouped by reason, the largest group first, with samples")
    func groups() throws {
        let store = try ToolStore.make()
        let errors = try store.run("errors", "1", "--json", "--samples", "2")
        #expect(errors.status == .fine)
        #expect(
            errors.lines == [
                #"{"reason":"permission denied","count":15,"outcomes":{"failed":15},"first_ended_ms":1002000,"#
                    + #""last_ended_ms":1002000,"samples":[{"id":152,"detail":"/srv/150"},"#
                    + #"{"id":153,"detail":"/srv/151"}]}"#,
                #"{"reason":"gone","count":5,"outcomes":{"failed":4,"dead_lettered":1},"first_ended_ms":1002000,"#
                    + #""last_ended_ms":1002000,"samples":[{"id":167,"detail":"/srv/165"},"#
                    + #"{"id":168,"detail":"/srv/166"}]}"#,
            ])
        let people = try store.run("errors", "1", "--classes", "1", "--samples", "1")
        #expect(
            people.lines == [
                "20 of 170 ended children failed", "permission denied: 15 failed (75.0 %)",
                "  from 1970-01-01T00:16:42.000Z to 1970-01-01T00:16:42.000Z", "  task 152: /srv/150",
                "5 with other reasons",
            ])
    }

    @Test("A store without failures, and one without such a task, say so")
    func none() throws {
        let store = try ToolStore.make()
        #expect(try store.run("errors", "201").lines == ["0 of 1 ended children failed"])
        #expect(try store.run("errors", "5").status == .findings)
    }

    @Test("Errors that no scheduler wrote are told by their bytes, and many reasons stay in bounded memory")
    func others() throws {
        var groups = FailureGroups(samples: 1)
        var rows = OutcomeBlock(parent: TaskID(1))
        for index in 0..<10_000 as Range<UInt64> {
            let text: [UInt8] = index % 2 == 0 ? [0xFF, 0xFF] : [5] + Array(String(10_000 + index).utf8)
            let row = OutcomeRow(
                task: index + 2, sequence: index + 1, startedAt: 0, endedAt: 0, label: 1, attempts: 1,
                valueLength: UInt32(text.count), kind: .failed)
            text.withUnsafeBytes { rows.append(row, value: $0) }
        }
        var block = ChildBlock()
        block.fill(from: rows)
        block.hasFacts = true
        for index in 0..<block.count { groups.add(index, of: block) }
        let largest = groups.largest(2)
        #expect(largest.groups.map(\.text) == ["ffff", "10001"])
        #expect(largest.groups[0].counts.total == 5000)
        #expect(groups.groups.count == 4096)
        #expect(largest.others == 4999)
        #expect(groups.total == 10_000)
    }

    @Test("Errors of 64 KiB each stay in bounded memory too: details are cut, and reasons beyond it counted together")
    func longErrors() throws {
        var groups = FailureGroups(samples: 10_000)
        var block = ChildBlock()
        let count = 3 * FailureGroups.keptBytes / (50 << 10)
        for index in 0..<UInt64(count) {
            var writer = ByteWriter()
            // Longer than a scheduler writes them.
            let reason = index % 2 == 0 ? "same" : "\(index)" + String(repeating: ".", count: 50 << 10)
            writer.append(variable: UInt64(reason.utf8.count))
            writer.append(contentsOf: Array(reason.utf8))
            writer.append(contentsOf: Array(String(repeating: "é", count: 5000).utf8))
            var rows = OutcomeBlock(parent: TaskID(1))
            let row = OutcomeRow(
                task: index + 2, sequence: index + 1, startedAt: 0, endedAt: 0, label: 1, attempts: 1,
                valueLength: UInt32(writer.count), kind: .failed)
            writer.bytes.withUnsafeBytes { rows.append(row, value: $0) }
            block.fill(from: rows)
            block.hasFacts = true
            groups.add(0, of: block)
        }
        let kept = groups.groups.reduce(0) { $0 + $1.reason.count + $1.samples.reduce(0) { $0 + $1.detail.count } }
        #expect(kept <= FailureGroups.keptBytes)
        #expect(kept > FailureGroups.keptBytes / 2)
        #expect(groups.others > 0 && groups.groups[0].counts.total == UInt64(count + 1) / 2)
        let sample = try #require(groups.groups[0].samples.first)
        #expect(String(validating: sample.detail, as: UTF8.self)?.hasSuffix("éé...") == true)
        #expect(sample.detail.count <= FailureGroups.detailBytes + 3)
    }
}
