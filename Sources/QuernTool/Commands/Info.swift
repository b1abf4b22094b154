// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern info`: a store in figures.
struct Info: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a store's versions, sizes, tasks, and what compaction would free.",
        discussion: """
            Reads the checkpoint, the log behind it and the directories of the index, and no block of ended children. \
            Works on a store in use, and on a damaged one as far as it can be read.

            "Blocks a parent" and "segments a parent" say how spread the children of a parent are: 1.0 is best. The \
            ratio of compression is that of the index, of a sample when it is large.

            Exit status: 0, 1 when something is damaged, 3 when the store cannot be read at all.

            Examples:
              quern info ~/.cache/dirscan/0123456789abcdef/tasks
              quern info /var/lib/service/tasks --json | jq .reclaimable_bytes
            """)

    @OptionGroup var store: StoreArgument
    @OptionGroup var format: FormatOptions

    func run(into output: inout Output) throws {
        let store = try store.read(&output)
        let overview = StoreOverview(of: store)
        if format.json { try writeJSON(overview, to: &output) } else { try write(overview, to: &output) }
    }

    private func write(_ store: StoreOverview, to output: inout Output) throws {
        var table = Table(.left(), .left())
        func add(_ name: String, _ value: String) { table.add(.text(name), .text(value)) }
        add("format", store.version.map { "version \($0)\(features(store))" } ?? "not known")
        add("openings", store.openings.map { Numbers.grouped($0) } ?? "not known")
        add(
            "closed in order",
            store.wasClosedInOrder.map { $0 ? "yes" : "no: in use, or its writer died" } ?? "not known")
        add("task types", store.names.isEmpty ? "none" : store.names.joined(separator: ", "))
        add("live tasks", "\(Numbers.grouped(store.liveTasks)), \(Numbers.grouped(store.liveParents)) of them parents")
        add("ended tasks", counts(store.ended))
        add("ended roots", counts(store.endedRoots))
        add("dropped trees", "\(Numbers.grouped(store.droppedTrees)) that wait for a compaction")
        add("named values", "\(Numbers.grouped(store.values)), \(Numbers.bytes(store.valueBytes))")
        add(
            "checkpoint",
            "\(store.checkpoint.map(String.init) ?? "not known"), \(Numbers.bytes(store.checkpoints.bytes))")
        add("log", "\(files(store.logs)), \(Numbers.bytes(store.logBytesBehindCheckpoint)) behind the checkpoint")
        add("index", "\(files(store.index)), \(Numbers.grouped(store.spread.blocks)) blocks")
        add("compression", ratio(store).map { Numbers.fixed($0, digits: 2) + " to 1" } ?? "-")
        let spread = store.spread
        add("children a block", quotient(spread.children, spread.blocks))
        add("blocks a parent", quotient(UInt64(spread.blocks), spread.parents))
        add("segments a parent", quotient(UInt64(spread.places), spread.parents))
        add("dead in the index", Numbers.bytes(store.droppedBytes))
        add("compaction frees", "about \(Numbers.bytes(store.reclaimableBytes))")
        if store.leftovers.count > 0 { add("leftovers", files(store.leftovers)) }
        try table.write(to: &output)
    }

    private func features(_ store: StoreOverview) -> String {
        let words = [store.compatibleFeatures, store.readOnlyFeatures, store.incompatibleFeatures]
        return words.allSatisfy { $0 == 0 } ? "" : ", features \(words.map(String.init).joined(separator: " "))"
    }

    private func counts(_ counts: OutcomeCounts) -> String {
        "\(Numbers.grouped(counts.total)), \(Numbers.grouped(counts.failures)) of them failed"
    }

    private func files(_ files: StoreOverview.Files) -> String {
        "\(Numbers.bytes(files.bytes)) in \(Numbers.grouped(files.count)) \(files.count == 1 ? "file" : "files")"
    }

    private func ratio(_ store: StoreOverview) -> Double? {
        store.sample.stored > 0 ? Double(store.sample.decoded) / Double(store.sample.stored) : nil
    }

    private func quotient(_ count: UInt64, _ parts: Int) -> String {
        parts > 0 ? Numbers.fixed(Double(count) / Double(parts), digits: 1) : "-"
    }

    private func writeJSON(_ store: StoreOverview, to output: inout Output) throws {
        try output.json { line in
            line.field("type", "store")
            line.field("version", store.version)
            line.field("compatible_features", store.compatibleFeatures)
            line.field("read_only_features", store.readOnlyFeatures)
            line.field("incompatible_features", store.incompatibleFeatures)
            line.field("openings", store.openings)
            if let closed = store.wasClosedInOrder {
                line.field("closed_in_order", closed)
            } else {
                line.null("closed_in_order")
            }
            line.field("checkpoint", store.checkpoint)
            line.field("next_id", store.nextID)
            line.field("next_sequence", store.nextSequence)
            line.array("task_types") { array in for name in store.names { array.value(name) } }
            line.field("live_tasks", store.liveTasks)
            line.field("live_parents", store.liveParents)
            line.field("ended", store.ended.total)
            line.field("ended_failed", store.ended.failures)
            line.field("ended_roots", store.endedRoots.total)
            line.field("ended_roots_failed", store.endedRoots.failures)
            line.field("dropped_trees", store.droppedTrees)
            line.field("named_values", store.values)
            line.field("named_value_bytes", store.valueBytes)
            line.field("checkpoint_bytes", store.checkpoints.bytes)
            line.field("log_segments", store.logs.count)
            line.field("log_bytes", store.logs.bytes)
            line.field("log_bytes_behind_checkpoint", store.logBytesBehindCheckpoint)
            line.field("log_bytes_needed", store.neededLogBytes)
            line.field("index_segments", store.index.count)
            line.field("index_bytes", store.index.bytes)
            line.field("blocks", store.spread.blocks)
            line.field("parents", store.spread.parents)
            line.field("parent_segments", store.spread.places)
            line.field("sampled_blocks", store.sample.blocks)
            line.field("sampled_decoded_bytes", store.sample.decoded)
            line.field("sampled_stored_bytes", store.sample.stored)
            line.field("dropped_bytes", store.droppedBytes)
            line.field("reclaimable_bytes", store.reclaimableBytes)
            line.field("leftover_files", store.leftovers.count)
            line.field("leftover_bytes", store.leftovers.bytes)
        }
    }
}
